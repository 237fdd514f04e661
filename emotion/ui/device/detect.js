// @ts-check
/**
 * Finding faces: from what the detector says about its prior boxes to boxes, landmarks and scores.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {{box: number[], landmarks: number[][], score: number}} Face  in px of the picture
 * @typedef {{deltas: Float32Array, scores: Float32Array, points: Float32Array}} Heads
 *          of N prior boxes: (N, 4), (N,) and (N, 10)
 * @typedef {(picture: Picture) => Promise<Heads>} Network
 */
import { resize } from "./pixels.js";

/** Side in px of the square that has a box's area. @param {Face} face */
export const sizeOf = ({ box: [x0, y0, x1, y1] }) =>
  Math.sqrt(Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0));

/** @param {number[]} one @param {number[]} other @returns {number} px² that two boxes share */
export const intersection = (one, other) =>
  Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0])) *
  Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));

/** @param {number[]} box */
export const area = ([x0, y0, x1, y1]) => Math.max(0, x1 - x0) * Math.max(0, y1 - y0);

/** Intersection over union, 0..1. @param {number[]} one @param {number[]} other */
export function iou(one, other) {
  const shared = intersection(one, other);
  return shared / Math.max(area(one) + area(other) - shared, 1e-9);
}

/**
 * Find the faces of a picture, the largest first.
 * @param {Picture} picture @param {Network} network @param {Record<string, any>} numbers
 * @param {number | null} maxSide of the copy that is looked at; null takes what finds the most
 * @param {number} minScore
 * @returns {Promise<Face[]>}
 */
export async function findFaces(picture, network, numbers, maxSide, minScore) {
  const { smallSide, coarseSide, fineSide, fineFace, fineScore, minSize } = numbers;
  const side = Math.max(picture.width, picture.height);
  if (Math.min(picture.width, picture.height) < 4) return [];
  const coarse = Math.min(maxSide ?? coarseSide, coarseSide);
  const target = side < smallSide ? smallSide : Math.min(side, coarse);
  const faces = await findAt(picture, target / side, network, numbers, minScore);
  if (side > coarseSide && maxSide === null) {
    const factor = Math.min(side, fineSide) / side;
    const fine = await findAt(picture, factor, network, numbers, Math.max(minScore, fineScore));
    const known = [...faces];
    for (const face of fine)
      if (sizeOf(face) <= fineFace * side && !known.some((other) => covers(other, face)))
        faces.push(face);
  }
  return faces
    .filter((face) => sizeOf(face) >= Math.min(minSize, side / 3))
    .sort((one, other) => sizeOf(other) - sizeOf(one) || other.score - one.score);
}

/** Whether half of the smaller face's box lies in the larger one's. */
const covers = (large, small) => intersection(large.box, small.box) > 0.5 * sizeOf(small) ** 2;

/** @returns {Promise<Face[]>} in px of the given picture */
async function findAt(picture, factor, network, numbers, minScore) {
  const width = factor === 1 ? picture.width : Math.max(1, Math.round(picture.width * factor));
  const height = factor === 1 ? picture.height : Math.max(1, Math.round(picture.height * factor));
  const heads = await network(resize(picture, width, height));
  const [backX, backY] = [picture.width / width, picture.height / height];
  return suppress(decode(heads, width, height, numbers, minScore), numbers.overlap).map((face) => ({
    score: face.score,
    box: face.box.map((value, at) => value * (at % 2 ? backY : backX)),
    landmarks: face.landmarks.map(([x, y]) => [x * backX, y * backY]),
  }));
}

/**
 * Decode the likely prior boxes (Liu et al., SSD, 2016; RetinaFace for the landmarks).
 * @param {Heads} heads @param {number} width @param {number} height
 * @param {Record<string, any>} numbers @param {number} minScore
 * @returns {Face[]}
 */
export function decode({ deltas, scores, points }, width, height, numbers, minScore) {
  const { steps, minSizes, variances } = numbers;
  const faces = [];
  let at = 0;
  steps.forEach((step, level) => {
    const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (const size of minSizes[level]) {
          if (scores[at] > minScore) faces.push(one(at, (column + 0.5) * step, (row + 0.5) * step, size));
          at++;
        }
  });
  if (at !== scores.length) throw new RangeError("The detector gave another number of boxes.");
  return faces;

  function one(index, x, y, size) {
    const [centre, spread] = variances;
    const delta = deltas.subarray(index * 4, index * 4 + 4);
    const [middleX, middleY] = [x + delta[0] * centre * size, y + delta[1] * centre * size];
    const [w, h] = [size * Math.exp(delta[2] * spread), size * Math.exp(delta[3] * spread)];
    const landmarks = Array.from({ length: 5 }, (_, point) => [
      x + points[index * 10 + 2 * point] * centre * size,
      y + points[index * 10 + 2 * point + 1] * centre * size,
    ]);
    const box = [middleX - w / 2, middleY - h / 2, middleX + w / 2, middleY + h / 2];
    return { box, landmarks, score: scores[index] };
  }
}

/** Keep each face that overlaps no likelier one by more than that. @param {Face[]} faces */
export function suppress(faces, overlap) {
  /** @type {Face[]} */
  const kept = [];
  for (const face of [...faces].sort((one, other) => other.score - one.score))
    if (kept.every((other) => iou(other.box, face.box) <= overlap)) kept.push(face);
  return kept;
}
