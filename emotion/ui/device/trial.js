// @ts-check
/**
 * The self-test: how many answers a second networks give here, and whether others give the same.
 *
 * @typedef {import("./pipeline.js").Networks} Networks
 * @typedef {import("./detect.js").Heads} Heads
 * @typedef {import("./classify.js").Classified} Classified
 * @typedef {{pace: number, heads: Heads, answer: Classified}} Trial
 *          pace: frames with one face a second
 */
import { Pipeline } from "./pipeline.js";

const TRIALS = 5; // frames, after one that warms up
const SAME = 0.02; // difference of probabilities and scores, and of maps over their highest value
const SAME_PLACE = 0.03; // of what moves boxes and landmarks; 1.5 px of the largest prior boxes
export const MAX_FACES = 5; // of a frame, as on the server

/** @param {number} length @returns {Uint8Array} */
const pattern = (length) => Uint8Array.from({ length }, (_, at) => (at * 7) % 256);

/**
 * Try networks.
 * @param {Networks} networks @param {Record<string, any>} numbers
 * @param {number} [longest] ms of a frame after which it is no use to go on
 * @returns {Promise<Trial>}
 */
export async function trial(networks, numbers, longest = Infinity) {
  const { frameSide, size } = numbers;
  const height = Math.round(frameSide * 0.75);
  const picture = { data: pattern(frameSide * height * 3), width: frameSide, height };
  const crop = pattern(size * size);
  const pipeline = new Pipeline(networks, numbers);
  const heads = await networks.detect(picture);
  const [answer] = await pipeline.classify([crop]);
  const took = [];
  while (took.length < TRIALS && !(took.at(-1) > longest)) {
    const began = performance.now();
    await pipeline.analyze(picture, { maxSide: frameSide, maxFaces: MAX_FACES });
    await pipeline.classify([crop]);
    took.push(performance.now() - began);
  }
  took.sort((one, other) => one - other);
  return { pace: 1000 / took[took.length >> 1], heads, answer };
}

/** Whether two trials gave the same answers, as nearly as anybody sees. @param {Trial} one @param {Trial} other */
export function agree(one, other) {
  const near = (values, others, most) =>
    values.length === others.length && values.every((value, at) => Math.abs(value - others[at]) <= most);
  return (
    near(one.answer.probabilities, other.answer.probabilities, SAME) &&
    near(one.answer.cams, other.answer.cams, SAME * Math.max(...other.answer.cams)) &&
    near(one.heads.scores, other.heads.scores, SAME) &&
    near(one.heads.deltas, other.heads.deltas, SAME_PLACE) &&
    near(one.heads.points, other.heads.points, SAME_PLACE)
  );
}
