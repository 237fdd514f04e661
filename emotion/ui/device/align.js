// @ts-check
/**
 * Alignment: five landmarks to one template.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {import("./pixels.js").Matrix} Matrix
 * @typedef {number[][]} Points  five pairs: left and right eye, nose, corners of the mouth
 */
import { greyCrop } from "./pixels.js";

/** @param {Points} points @returns {number[]} */
const mean = (points) => [0, 1].map((axis) => points.reduce((sum, p) => sum + p[axis], 0) / points.length);

/**
 * Fit the least-squares similarity without reflection (Umeyama 1991). In the plane it is the
 * complex number that fits best: sum(b conj(a)) / sum(|a|^2) for centred points a and targets b.
 * @param {Points} source @param {Points} target
 * @returns {Matrix | null} null if the points are not finite or coincide
 */
export function umeyama(source, target) {
  if (!source.flat().every(Number.isFinite)) return null;
  const [from, to] = [mean(source), mean(target)];
  let [real, imaginary, spread] = [0, 0, 0];
  source.forEach(([x, y], at) => {
    const [ax, ay] = [x - from[0], y - from[1]];
    const [bx, by] = [target[at][0] - to[0], target[at][1] - to[1]];
    real += bx * ax + by * ay;
    imaginary += by * ax - bx * ay;
    spread += ax * ax + ay * ay;
  });
  const extent = Math.max(1, ...source.flat().map(Math.abs));
  if (spread / source.length <= (1e-6 * extent) ** 2) return null;
  const [p, q] = [real / spread, imaginary / spread];
  return [p, -q, to[0] - p * from[0] + q * from[1], q, p, to[1] - q * from[0] - p * from[1]];
}

/** @param {Matrix} matrix @param {Points} points @returns {Points} */
export const moved = ([a, b, c, d, e, f], points) =>
  points.map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);

/** Root-mean-square distance to the template, in distances between its eyes. */
function residual(matrix, points, target) {
  const squares = moved(matrix, points).map(
    ([x, y], at) => (x - target[at][0]) ** 2 + (y - target[at][1]) ** 2,
  );
  const unit = Math.hypot(target[1][0] - target[0][0], target[1][1] - target[0][1]);
  return Math.sqrt(squares.reduce((sum, one) => sum + one, 0) / points.length) / unit;
}

/**
 * Say how landmarks lie compared with a template's.
 * @param {Points} points @param {Points} target
 * @returns {{roll: number, residual: number}} degrees by which the face leans, 0..180
 */
export function fit(points, target) {
  const matrix = umeyama(points, target);
  if (!matrix) return { roll: 180, residual: Infinity };
  const roll = Math.abs((Math.atan2(matrix[3], matrix[0]) * 180) / Math.PI);
  return { roll, residual: residual(matrix, points, target) };
}

/**
 * Cut the grey crop of a face: aligned, or the centre square of its box where landmarks fit no face.
 * @param {Picture} picture @param {{box: number[], landmarks: Points}} face
 * @param {Record<string, any>} numbers
 * @returns {{crop: Uint8Array, matrix: Matrix}}
 */
export function cropOf(picture, { box, landmarks }, { size, template, maxResidual }) {
  let matrix = umeyama(landmarks, template);
  if (!matrix || residual(matrix, landmarks, template) > maxResidual) matrix = boxMatrix(box, size);
  return { crop: greyCrop(picture, matrix, size), matrix };
}

/** @param {number[]} box @param {number} size @returns {Matrix} */
export function boxMatrix([x0, y0, x1, y1], size) {
  const scale = size / Math.max(Math.min(x1 - x0, y1 - y0), 1);
  const offset = (size - 1) / 2;
  return [
    scale, 0, (0.5 - (x0 + x1) / 2) * scale + offset,
    0, scale, (0.5 - (y0 + y1) / 2) * scale + offset,
  ];
}
