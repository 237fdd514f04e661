// @ts-check
/**
 * Why, by trial: each part of the face is covered in turn, and the network is asked again
 * (``emotion/cover.py`` says where this comes from).
 *
 * @typedef {{kind: string, label: string, part: string | null, other: string | null,
 *            before: number, after: number}} Finding
 */
import { moved } from "./align.js";

const plus = (one, other, times = 1) => [one[0] + times * other[0], one[1] + times * other[1]];
const half = (one, other) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];

/**
 * Say where the parts of a face lie in its crop.
 * @param {{landmarks: number[][] | null, matrix: number[]}} face @param {Record<string, any>} numbers
 * @returns {Uint8Array[] | null} 0 or 1 per pixel, a mask per part; null if its parts are not known
 */
export function partMasks({ landmarks, matrix }, { size, plainTemplate, maxResidual }) {
  if (!landmarks) return null;
  const points = moved(matrix, landmarks);
  /** @param {number[]} point @param {number} at */
  const square = ([x, y], at) => (x - plainTemplate[at][0]) ** 2 + (y - plainTemplate[at][1]) ** 2;
  const error = Math.sqrt(points.reduce((sum, point, at) => sum + square(point, at), 0) / 5);
  const [left, right] = plainTemplate;
  if (error > maxResidual * Math.hypot(right[0] - left[0], right[1] - left[1])) return null;
  const lines = partLines(points);
  const masks = lines.map(() => new Uint8Array(size * size));
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const distances = lines.map((part) =>
        Math.min(...part.map(([from, to, reach]) => distance(x, y, from, to) / reach)),
      );
      const nearest = Math.min(...distances);
      if (nearest <= 1) masks[distances.indexOf(nearest)][y * size + x] = 1;
    }
  return masks;
}

/**
 * Every part is the surrounding of a line or two: from, to, and how far in px.
 * @param {number[][]} points
 * @returns {[number[], number[], number][][]}
 */
function partLines([leftEye, rightEye, nose, leftMouth, rightMouth]) {
  const [eyes, mouth] = [half(leftEye, rightEye), half(leftMouth, rightMouth)];
  const along = plus(rightEye, leftEye, -1);
  const apart = Math.hypot(...along);
  const across = along.map((value) => value / Math.max(apart, 1e-6));
  const drop = plus(mouth, eyes, -1);
  const sign = drop[0] * -across[1] + drop[1] * across[0] >= 0 ? 1 : -1;
  const unit = (apart + Math.hypot(...drop) / 1.155) / 2;
  /** A point, moved along the face's axes by parts of its unit. */
  const at = (point, x, y = 0) => [
    point[0] + unit * (x * across[0] - y * sign * across[1]),
    point[1] + unit * (x * across[1] + y * sign * across[0]),
  ];
  const [cheekLeft, cheekRight] = [half(leftEye, leftMouth), half(rightEye, rightMouth)];
  /** @type {any[][][]} */
  const parts = [
    [[at(leftEye, -0.36, -0.38), at(rightEye, 0.36, -0.38), 0.17]],
    [leftEye, rightEye].map((eye) => [at(eye, -0.16), at(eye, 0.16), 0.18]),
    [[half(eyes, nose), nose, 0.23]],
    [
      [leftMouth, rightMouth, 0.26],
      [at(mouth, -0.2, 0.16), at(mouth, 0.2, 0.16), 0.28],
    ],
    [
      [at(cheekLeft, -0.22), at(cheekLeft, -0.12), 0.24],
      [at(cheekRight, 0.12), at(cheekRight, 0.22), 0.24],
    ],
    [[at(mouth, -0.25, 0.66), at(mouth, 0.25, 0.66), 0.24]],
  ];
  return parts.map((part) => part.map(([from, to, reach]) => [from, to, reach * unit]));
}

/** Distance in px of a pixel from a line between two points. */
function distance(x, y, from, to) {
  const line = plus(to, from, -1);
  const [dx, dy] = [x - from[0], y - from[1]];
  const along = (dx * line[0] + dy * line[1]) / Math.max(line[0] ** 2 + line[1] ** 2, 1e-12);
  const place = Math.min(1, Math.max(0, along));
  return Math.hypot(dx - place * line[0], dy - place * line[1]);
}

/**
 * Cover a place of a crop by what surrounds it: Laplace's equation by Jacobi's iteration, from a blur.
 * @param {Uint8Array} crop @param {Uint8Array} mask @param {number} side
 * @param {{steps: number, spread: number}} numbers
 */
export function smoothFill(crop, mask, side, { steps, spread }) {
  const inside = [...mask.keys()].filter((at) => mask[at]);
  const known = crop.reduce((sum, value) => sum + value, 0) / crop.length;
  const kept = Float32Array.from(mask, (bit) => 1 - bit);
  const blurred = blur(kept.map((weight, at) => weight * crop[at]), side, spread);
  const weight = blur(kept, side, spread);
  let filled = Float32Array.from(crop);
  for (const at of inside) filled[at] = (blurred[at] + 1e-4 * known) / (weight[at] + 1e-4);
  for (let step = 0; step < steps; step++) {
    const next = filled.slice();
    for (const at of inside) {
      const x = at % side;
      const left = filled[x > 0 ? at - 1 : at];
      const right = filled[x < side - 1 ? at + 1 : at];
      const above = filled[at >= side ? at - side : at];
      const below = filled[at < side * (side - 1) ? at + side : at];
      next[at] = (left + right + above + below) / 4;
    }
    filled = next;
  }
  return Uint8Array.from(Uint8ClampedArray.from(filled));
}

/** Gaussian blur; beyond the borders their pixels go on. @param {Float32Array} values */
function blur(values, side, spread) {
  const reach = Math.round(spread * 4);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, at) =>
    Math.exp(-((at - reach) ** 2) / (2 * spread ** 2)),
  );
  const sum = kernel.reduce((total, one) => total + one, 0);
  const inside = (at) => Math.min(side - 1, Math.max(0, at));
  const along = (from, stride, other) => {
    const result = new Float32Array(from.length);
    for (let line = 0; line < side; line++)
      for (let at = 0; at < side; at++) {
        let total = 0;
        for (let tap = -reach; tap <= reach; tap++)
          total += kernel[tap + reach] * from[line * other + inside(at + tap) * stride];
        result[line * other + at * stride] = total / sum;
      }
    return result;
  };
  return along(along(values, 1, side), side, 1);
}

/**
 * Say what decides about a class.
 * @param {{probabilities: Float32Array, calm: number | null}[]} answers of the crop as it is, and
 *        with each part covered
 * @param {number | null} index of the class; null: the answer
 * @param {Record<string, any>} numbers
 * @returns {Finding}
 */
export function finding([whole, ...covered], index, numbers) {
  const { labels, calmBound, abstainBelow, cover } = numbers;
  const probabilities = Array.from(whole.probabilities);
  const strongest = probabilities.indexOf(Math.max(...probabilities));
  const calm = whole.calm !== null && whole.calm >= calmBound;
  const at = index ?? strongest;
  const before = probabilities[at];
  const said = { label: labels[at], part: null, other: null, before, after: before };
  if (index === null && calm) return { kind: "calm", ...said };
  if (before < cover.faint) return { kind: "faint", ...said };
  const answered = at === strongest && before >= abstainBelow && !calm;
  const tops = covered.map((one) => Math.max(...one.probabilities));
  const lost = covered.map((one) => before - one.probabilities[at]);
  const found = (kind, part) => {
    const values = Array.from(covered[part].probabilities);
    const other = kind === "turns" ? labels[values.indexOf(tops[part])] : null;
    return { kind, ...said, part: cover.parts[part], other, after: values[at] };
  };
  const highest = (values) => values.indexOf(Math.max(...values));
  if (answered) {
    const calms = covered.map((one) => one.calm ?? 0);
    const turns = covered.map(
      (one, part) =>
        tops[part] - one.probabilities[at] >= cover.margin &&
        tops[part] >= abstainBelow && calms[part] < calmBound,
    );
    if (turns.includes(true)) return found("turns", highest(lost.map((one, part) => (turns[part] ? one : -1))));
    if (calms.some((one) => one >= calmBound + cover.margin)) return found("calmed", highest(calms));
  }
  const part = highest(lost);
  if (lost[part] < Math.max(cover.least * before, cover.faint)) return { kind: "none", ...said };
  return found(answered && tops[part] < abstainBelow ? "unsure" : "falls", part);
}
