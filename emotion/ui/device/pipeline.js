// @ts-check
/**
 * The one composition in the browser: detect, align, classify, explain; and what travels to the page.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {import("./detect.js").Heads} Heads
 * @typedef {import("./tracker.js").Result} Result
 * @typedef {import("./tracker.js").Known} Known
 * @typedef {{detect: (picture: Picture) => Promise<Heads>,
 *            classify: (crops: Uint8Array, count: number) => Promise<Float32Array>}} Networks
 *          classify: crops (count, 64, 64) to feature maps (count, K, h, w)
 */
import { boxMatrix, cropOf } from "./align.js";
import { readOut } from "./classify.js";
import { findFaces, iou } from "./detect.js";
import { plausible, reasonForDoubt, turnedAround } from "./faces.js";
import { greyCrop, invert } from "./pixels.js";
import { BOTH, STRAIGHT, evidence } from "./views.js";

export class Pipeline {
  /** @param {Networks} networks @param {Record<string, any>} numbers */
  constructor(networks, numbers) {
    this.networks = networks;
    this.numbers = numbers;
  }

  /**
   * Analyse the faces of a picture.
   * @param {Picture} picture
   * @param {{maxSide: number | null, maxFaces: number, known?: Known[]}} how known: of the frame before
   * @returns {Promise<{results: (Result & {crop: Uint8Array})[], found: number}>}
   */
  async analyze(picture, { maxSide, maxFaces, known = [] }) {
    const { networks, numbers } = this;
    const found = await findFaces(picture, networks.detect, numbers.detector, maxSide, numbers.minScore);
    const faces = plausible(picture, found, numbers);
    const cuts = [];
    for (const face of faces.slice(0, maxFaces)) {
      const around = await turnedAround(picture, face, networks.detect, numbers);
      const upright = around ?? face;
      const { crop, matrix } = cropOf(picture, upright, numbers);
      const reason = reasonForDoubt(upright, matrix, crop, picture, around !== null, numbers);
      cuts.push({ ...upright, crop, matrix, reason });
    }
    const views = cuts.map((face) => this.view(face, known));
    const answers = await this.classify(cuts.map(({ crop }) => crop), views);
    return { results: cuts.map((cut, at) => ({ ...cut, ...answers[at] })), found: faces.length };
  }

  /** Take the whole picture as one face. @param {Picture} picture */
  async analyzeWhole(picture) {
    const { size } = this.numbers;
    const matrix = boxMatrix([0, 0, picture.width, picture.height], size);
    const crop = greyCrop(picture, matrix, size);
    const [answer] = await this.classify([crop]);
    const whole = { box: null, landmarks: null, score: 1, crop, matrix, reason: null, ...answer };
    return { results: [whole], found: 1 };
  }

  /** What the network is to see of a face: of a new one both. @param {{box: number[]}} face @param {Known[]} known */
  view({ box }, known) {
    const fits = known.map((one) => iou(one.box, box));
    const best = Math.max(...fits);
    return best >= this.numbers.tracker.samePlace ? known[fits.indexOf(best)].view : BOTH;
  }

  /** Classify crops together. @param {Uint8Array[]} crops @param {number[]} views of each, by default both */
  async classify(crops, views = crops.map(() => BOTH)) {
    if (!crops.length) return [];
    const { size, mirror, network } = this.numbers;
    const shown = mirror ? views : crops.map(() => STRAIGHT);
    const { classify } = this.networks;
    const features = await evidence(classify, crops, shown, size, network.columns[0].length);
    return features.map((one) => readOut(one, network));
  }
}

/**
 * Where a face lies, as fractions of the picture; see ``emotion/ui/wire.py``.
 * @param {{box: number[] | null, matrix: number[]}} face @param {{width: number, height: number}} picture
 */
export function geometry({ box, matrix }, { width, height }, side) {
  const [a, b, c, d, e, f] = invert(matrix);
  const size = [width, height, width, height];
  const shiftX = c - 0.5 * (a + b) + 0.5;
  const shiftY = f - 0.5 * (d + e) + 0.5;
  return {
    box: box && box.map((value, at) => value / size[at]),
    place: [
      (a * side) / width, (d * side) / height, (b * side) / width, (e * side) / height,
      shiftX / width, shiftY / height,
    ],
  };
}

/** One map as 64 integers, and the value that 255 stands for. @param {Float32Array} cams */
export function heat(cams, index, grid) {
  const top = Math.max(...cams);
  const own = cams.subarray(index * grid * grid, (index + 1) * grid * grid);
  return { cells: Array.from(own, (value) => (top > 1e-6 ? Math.round((value * 255) / top) : 0)), max: top };
}
