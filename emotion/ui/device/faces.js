// @ts-check
/**
 * Which detections are faces, which stand on their heads, and why no answer about one can be sure.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {import("./pixels.js").Matrix} Matrix
 * @typedef {import("./detect.js").Face} Face
 */
import { fit, moved } from "./align.js";
import { findFaces, intersection, sizeOf } from "./detect.js";
import { averaged, cut, halfTurn, invert, resize } from "./pixels.js";

/**
 * Leave out what cannot be a face; the reliable ones first, of each kind the largest.
 * @param {Picture} picture @param {Face[]} faces @param {Record<string, any>} numbers
 */
export function plausible(picture, faces, numbers) {
  const { reliable, minContrast, sharedHead } = numbers;
  /** @type {Face[]} */
  const kept = [];
  const doubtful = (face) => Number(face.score < reliable);
  const order = [...faces].sort((a, b) => doubtful(a) - doubtful(b) || sizeOf(b) - sizeOf(a));
  for (const face of order) {
    if (face.score < reliable && !hasFaceShape(face)) continue;
    if (contrast(picture, face.box) < minContrast) continue;
    if (!kept.some((other) => sameHead(face, other, sharedHead))) kept.push(face);
  }
  return kept;
}

/** Whether five landmarks lie as a face's do. @param {Face} face */
export function hasFaceShape({ landmarks, box }) {
  if (!landmarks.flat().every(Number.isFinite)) return false;
  const [left, right, tip, mouthLeft, mouthRight] = landmarks;
  const middle = (one, other) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
  const minus = (one, other) => [one[0] - other[0], one[1] - other[1]];
  const dot = (one, other) => one[0] * other[0] + one[1] * other[1];
  const eyes = middle(left, right);
  const across = minus(right, left);
  const down = minus(middle(mouthLeft, mouthRight), eyes);
  const height = Math.hypot(...down);
  const side = Math.sqrt(Math.max((box[2] - box[0]) * (box[3] - box[1]), 1));
  if (height < 0.15 * side || Math.max(Math.hypot(...across), height) > 1.2 * side) return false;
  const below = [down[0] / height, down[1] / height];
  const aside = [below[1], -below[0]];
  const nose = minus(tip, eyes);
  const widths = [dot(across, aside), dot(minus(mouthRight, mouthLeft), aside)];
  const drop = dot(nose, below) / height;
  return (
    Math.min(...widths) > -0.1 * side &&
    Math.max(...widths) > 0.1 * side &&
    drop > -0.1 &&
    drop < 1.1 &&
    Math.abs(dot(nose, aside)) < 0.5 * side
  );
}

/** Deviation in grey levels of what a box holds. @param {Picture} picture @param {number[]} box */
function contrast(picture, box) {
  const inside = (value, limit) => Math.min(limit, Math.max(0, value));
  const x0 = inside(Math.floor(box[0]), picture.width);
  const y0 = inside(Math.floor(box[1]), picture.height);
  const x1 = inside(Math.ceil(box[2]), picture.width);
  const y1 = inside(Math.ceil(box[3]), picture.height);
  if (x1 <= x0 || y1 <= y0) return 0;
  const { data } = averaged(cut(picture, x0, y0, x1, y1), 32, 32);
  const cells = Array.from({ length: 1024 }, (_, at) => (data[3 * at] + data[3 * at + 1] + data[3 * at + 2]) / 3);
  return deviation(cells);
}

function sameHead(face, other, shared) {
  const [small, large] = sizeOf(face) < sizeOf(other) ? [face, other] : [other, face];
  const [x, y] = [0, 1].map((axis) => small.landmarks.reduce((sum, p) => sum + p[axis], 0) / 5);
  const inside = x > large.box[0] && y > large.box[1] && x < large.box[2] && y < large.box[3];
  return inside && intersection(small.box, large.box) > shared * sizeOf(small) ** 2;
}

/**
 * Look at a doubtful face once more, by half a turn.
 * @param {Picture} picture @param {Face} face
 * @param {import("./detect.js").Network} network @param {Record<string, any>} numbers
 * @returns {Promise<Face | null>} the face as it is found that way, where that is the likelier one
 */
export async function turnedAround(picture, face, network, numbers) {
  const { upright, plainTemplate, reliable, detector } = numbers;
  const { roll, residual } = fit(face.landmarks, plainTemplate);
  const [width, height] = [face.box[2] - face.box[0], face.box[3] - face.box[1]];
  const doubtful =
    face.score < upright.score || roll > upright.roll || residual > upright.residual ||
    width > upright.aspect * height;
  if (!doubtful) return null;
  const reach = Math.max(sizeOf(face), 1);
  const within = (value, low, high) => Math.min(high, Math.max(low, value));
  const middle = [(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2];
  const size = [picture.width, picture.height];
  const low = middle.map((at, axis) => within(Math.floor(at - reach), 0, size[axis] - 1));
  const high = middle.map((at, axis) => within(Math.ceil(at + reach), low[axis] + 1, size[axis]));
  const part = halfTurn(cut(picture, low[0], low[1], high[0], high[1]));
  const scale = upright.side / Math.max(part.width, part.height);
  const columns = Math.max(4, Math.round(part.width * scale));
  const rows = Math.max(4, Math.round(part.height * scale));
  const step = [part.width / columns, part.height / rows];
  const copy = resize(part, columns, rows);
  const found = await findFaces(copy, network, detector, null, Math.max(face.score, reliable));
  for (const other of found) {
    const [x0, y0, x1, y1] = other.box.map((value, at) => high[at % 2] - value * step[at % 2]);
    const landmarks = other.landmarks.map((point) =>
      point.map((value, axis) => high[axis] - 1 - ((value + 0.5) * step[axis] - 0.5)),
    );
    const turned = { box: [x1, y1, x0, y0], landmarks, score: other.score };
    const smaller = Math.min(sizeOf(turned), sizeOf(face));
    if (intersection(turned.box, face.box) > 0.3 * smaller ** 2) return turned;
  }
  return null;
}

/**
 * Say why an answer about a face would not be sure, in the words of the server; or null.
 * @param {Face} face @param {Matrix} matrix picture to crop pixels @param {Uint8Array} crop
 * @param {Picture} picture @param {boolean} turned @param {Record<string, any>} numbers
 */
export function reasonForDoubt(face, matrix, crop, picture, turned, numbers) {
  const { reliable, upright, plainTemplate, reasons } = numbers;
  const [unlikely, around, outside, covered] = reasons;
  if (face.score < reliable) return unlikely;
  if (turned || fit(face.landmarks, plainTemplate).roll > upright.maxRoll) return around;
  if (isCutOff(face, matrix, picture, numbers.doubt)) return outside;
  return isCovered(crop, numbers.size, numbers.covered) ? covered : null;
}

function isCutOff(face, matrix, { width, height }, { nearest, missing, oval }) {
  const distances = face.landmarks.flatMap(([x, y]) => [x, y, width - 1 - x, height - 1 - y]);
  if (Math.min(...distances) < nearest * sizeOf(face)) return true;
  const points = moved(invert(matrix), oval);
  const inside = points.filter(
    ([x, y]) => x >= -0.5 && y >= -0.5 && x <= width - 0.5 && y <= height - 0.5,
  );
  return 1 - inside.length / points.length > missing;
}

/** @param {ArrayLike<number>} values */
function deviation(values) {
  let [sum, squares] = [0, 0];
  for (let at = 0; at < values.length; at++) sum += values[at];
  const mean = sum / values.length;
  for (let at = 0; at < values.length; at++) squares += (values[at] - mean) ** 2;
  return Math.sqrt(squares / values.length);
}

/**
 * Whether a mask or dark glasses cover an aligned face: a logistic regression on brightness,
 * contrast and edges in cells of the crop.
 * @param {Uint8Array} crop @param {number} side @param {Record<string, any>} numbers
 */
export function isCovered(crop, side, { cells, least, minDeviation, weights, bias }) {
  const mean = crop.reduce((sum, value) => sum + value, 0) / crop.length;
  const spread = Math.max(deviation(crop), minDeviation);
  const grey = Float32Array.from(crop, (value) => (value - mean) / spread);
  const slope = (at, place, stride) => {
    const [low, high] = [place > 0 ? at - stride : at, place < side - 1 ? at + stride : at];
    return (grey[high] - grey[low]) / ((high - low) / stride);
  };
  const width = side / cells;
  const count = cells * cells;
  let sum = bias;
  for (let cell = 0; cell < count; cell++) {
    const values = [];
    let edges = 0;
    const [top, left] = [Math.floor(cell / cells) * width, (cell % cells) * width];
    for (let y = top; y < top + width; y++)
      for (let x = left; x < left + width; x++) {
        const at = y * side + x;
        values.push(grey[at]);
        edges += Math.hypot(slope(at, x, 1), slope(at, y, side));
      }
    const brightness = values.reduce((total, value) => total + value, 0) / values.length;
    sum += weights[cell] * brightness;
    sum += weights[count + cell] * Math.log(deviation(values) + least);
    sum += weights[2 * count + cell] * Math.log(edges / values.length + least);
  }
  return sum > 0;
}
