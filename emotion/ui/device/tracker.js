// @ts-check
/**
 * Faces over time: who is who from frame to frame, and numbers that do not flicker.
 *
 * @typedef {{box: number[], landmarks: number[][], score: number, probabilities: Float32Array,
 *            cams: Float32Array, calm: number | null, reason: string | null, matrix: number[]}} Result
 * @typedef {{box: number[], view: number}} Known a face of the newest frame, and what the network is
 *          to see of it in the next one: its crop 1, the mirror image 2, or both 3
 * @typedef {Result & {id: number, sure: boolean, answer: string, settled: boolean}} Tracked
 */
import { softmax } from "./classify.js";
import { area, iou } from "./detect.js";
import { BOTH, MIRRORED, STRAIGHT } from "./views.js";

/** @param {Float32Array} before @param {Float32Array} now @param {number} keep 0..1 */
const mixed = (before, now, keep) => before.map((value, at) => keep * value + (1 - keep) * now[at]);

export class Tracker {
  /** @param {Record<string, any>} numbers */
  constructor(numbers) {
    this.numbers = numbers;
    this.time = -Infinity; // of the newest frame, in seconds
    /** @type {Track[]} */
    this.tracks = [];
    this.lastId = 0;
    /** @type {Track[]} */
    this.newest = []; // of the newest frame
  }

  /** What is known of the faces of the next frame. @param {number} time @returns {Known[]} */
  known(time) {
    const elapsed = time - this.time;
    if (!(elapsed >= 0 && elapsed <= this.numbers.tracker.longestPause)) return [];
    return this.newest.map((track) => ({ box: track.place.box, view: track.nextView(elapsed) }));
  }

  /**
   * Take the faces of the next frame; those whose track is open are told.
   * @param {Result[]} results @param {number} time in seconds @returns {Tracked[]}
   */
  update(results, time) {
    const { longestPause, patience } = this.numbers.tracker;
    if (time - this.time > longestPause || time < this.time) this.tracks = [];
    this.time = time;
    const known = this.pair(results);
    this.newest = [];
    const told = results.map((result, at) => {
      const track = known[at] ?? new Track(result, time, this.numbers);
      this.newest.push(track);
      if (known[at]) track.follow(result, time);
      else this.tracks.push(track);
      if (!track.id && track.isFace()) track.id = ++this.lastId;
      return track.says(result);
    });
    this.tracks = this.tracks.filter((track) => time - track.seen <= patience);
    return told.filter(({ id }) => id);
  }

  /** Give each face the track it fits best, best fits first. @param {Result[]} results */
  pair(results) {
    const fits = results.flatMap((result, index) =>
      this.tracks.map((track) => ({ fit: track.likeness(result), index, track })),
    );
    /** @type {(Track | undefined)[]} */
    const found = results.map(() => undefined);
    for (const { fit, index, track } of fits.sort((one, other) => other.fit - one.fit))
      if (fit >= this.numbers.tracker.sameFace && !found[index] && !found.includes(track))
        found[index] = track;
    return found;
  }
}

/** What is remembered of a face: numbers, no pixels. */
class Track {
  /** @param {Result} result @param {number} time @param {Record<string, any>} numbers */
  constructor(result, time, numbers) {
    this.numbers = numbers;
    this.id = 0;
    this.place = result;
    this.since = this.seen = time;
    this.logits = this.logitsOf(result.probabilities);
    this.cams = result.cams;
    this.calm = result.calm === null ? null : this.logitOf(result.calm);
    this.frames = 1;
    this.scores = result.score;
    this.answer = this.other = "";
    this.otherSince = 0;
    this.lead = 0; // see leadOf
  }

  /** Crop and mirror image take turns where the smoothing averages them. @param {number} elapsed */
  nextView(elapsed) {
    const { timeConstant, oneViewWithin, clear } = this.numbers.tracker;
    const weight = 1 - Math.exp(-elapsed / timeConstant);
    if (this.lead < clear * weight || elapsed > oneViewWithin) return BOTH;
    return this.frames % 2 ? MIRRORED : STRAIGHT;
  }

  /** @param {Float32Array} probabilities */
  logitsOf(probabilities) {
    return probabilities.map((value) => Math.log(Math.max(value, this.numbers.tracker.least)));
  }

  /** @param {number} probability */
  logitOf(probability) {
    const { least } = this.numbers.tracker;
    const bounded = Math.min(Math.max(probability, least), 1 - least);
    return Math.log(bounded / (1 - bounded));
  }

  /** @param {Result} result @param {number} time */
  follow(result, time) {
    const keep = Math.exp(-(time - this.seen) / this.numbers.tracker.timeConstant);
    this.logits = mixed(this.logits, this.logitsOf(result.probabilities), keep);
    this.cams = mixed(this.cams, result.cams, keep);
    if (this.calm !== null && result.calm !== null)
      this.calm = keep * this.calm + (1 - keep) * this.logitOf(result.calm);
    this.place = result;
    this.seen = time;
    this.frames++;
    this.scores += result.score;
  }

  /** Lights that are taken for a face now and then never are one for long. */
  isFace() {
    const { openingFrames, openingSeconds } = this.numbers.tracker;
    const lasted = this.frames >= openingFrames || this.seen - this.since >= openingSeconds;
    return lasted && this.scores >= this.numbers.reliable * this.frames;
  }

  /** By place, size and pose: 1 for the same place. @param {Result} result */
  likeness({ box, landmarks }) {
    const width = Math.sqrt(Math.max(area(this.place.box) + area(box), 1e-6) / 2);
    const distances = landmarks.map(([x, y], at) =>
      Math.hypot(x - this.place.landmarks[at][0], y - this.place.landmarks[at][1]),
    );
    const mean = distances.reduce((sum, one) => sum + one, 0) / distances.length;
    return iou(this.place.box, box) - mean / width;
  }

  /** @param {Result} result @returns {Tracked} */
  says(result) {
    const probabilities = softmax(this.logits);
    const calm = this.calm === null ? null : 1 / (1 + Math.exp(-this.calm));
    const face = judged({ ...result, probabilities, cams: this.cams, calm }, this.numbers);
    if (face.answer !== this.other) [this.other, this.otherSince] = [face.answer, this.seen];
    if (!this.answer || this.seen - this.otherSince >= this.numbers.tracker.hold)
      this.answer = face.answer;
    this.lead = leadOf(face, this.numbers);
    return { ...face, id: this.id, answer: this.answer, settled: this.answer === face.answer };
  }
}

/**
 * By how much a probability may be off before answer or strongest class are others.
 * @param {{probabilities: Float32Array, calm: number | null, answer: string}} face
 * @param {Record<string, any>} numbers
 */
function leadOf({ probabilities, calm, answer }, numbers) {
  const [first, second] = probabilities.slice().sort((one, other) => other - one);
  const fromCalm = calm === null ? 1 : Math.abs(calm - numbers.calmBound);
  const fromNotSure = answer === numbers.calm ? 1 : Math.abs(first - numbers.abstainBelow);
  return Math.min(first - second, fromCalm, fromNotSure);
}

/**
 * Add what people are told about a face: a class, "not sure", or that it is calm.
 * @template {{probabilities: Float32Array, calm: number | null, reason: string | null}} T
 * @param {T} face @param {Record<string, any>} numbers
 * @returns {T & {sure: boolean, answer: string}}
 */
export function judged(face, { labels, notSure, calm, calmBound, abstainBelow }) {
  const highest = Math.max(...face.probabilities);
  const sure = highest >= abstainBelow && face.reason === null;
  const isCalm = face.reason === null && face.calm !== null && face.calm >= calmBound;
  const label = labels[face.probabilities.indexOf(highest)];
  return { ...face, sure, answer: isCalm ? calm : sure ? label : notSure };
}
