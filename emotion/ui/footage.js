// @ts-check
/**
 * What is known of a clip: who was seen in which frame, and how they looked. It runs once, after
 * many.js and in its scope; all times are seconds.
 *
 * @typedef {{time: number, frame: number, box: number[], score: number | null,
 *            face: Face & {calm: number | null}}} Seen
 *          box: in px of the frame; face: as the other tabs draw it
 */
const CALM_FROM = 0.5; // as the server decides it

class Footage {
  constructor() {
    /** @type {number[]} when each frame was taken */
    this.times = [];
    /** @type {Map<number, Seen[]>} by frame */
    this.frames = new Map();
    /** @type {Map<number, Seen[]>} by number of the face */
    this.people = new Map();
    this.rows = 0;
    this.length = 0;
    this.width = this.height = 1;
  }

  /** Take what is new in an answer of the server. @param {any} answer */
  take({ times, rows, length, width, height }) {
    this.times.push(...times);
    if (width) Object.assign(this, { width, height });
    this.length = Math.max(length ?? 0, this.times.at(-1) ?? 0);
    for (const row of rows) this.add(row);
    this.rows += rows.length;
  }

  add([frame, number, box, probabilities, sure, score, calm, answer, place, heat]) {
    const own = calm !== null && calm >= CALM_FROM ? facts.calm
      : sure ? facts.labels[strongest(probabilities)] : facts.notSure;
    const [x0, y0, x1, y1] = box;
    const { width, height } = this;
    const face = /** @type {any} */ ({
      number, probabilities, answer, calm, sure: Boolean(sure), reason: null, settled: own === answer,
      box: [x0 / width, y0 / height, x1 / width, y1 / height],
      place, heat: { cells: Uint8Array.from(atob(heat), (cell) => cell.charCodeAt(0)) },
    });
    const seen = { time: this.times[frame], frame, box, score, face };
    for (const [known, key] of [[this.frames, frame], [this.people, number]]) {
      if (!known.has(key)) known.set(key, []);
      known.get(key).push(seen);
    }
  }

  /** Number of the frame that is shown at a time. @param {number} time */
  frameAt(time) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= time + 1e-3) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** @param {number} time @returns {Face[]} */
  facesAt(time) {
    return (this.frames.get(this.frameAt(time)) ?? []).map(({ face }) => face);
  }

  /** Numbers of the faces, those that were seen in most frames first. */
  get faces() {
    return [...this.people.keys()].sort(
      (one, other) => this.people.get(other).length - this.people.get(one).length || one - other,
    );
  }

  /** The table that `python -m emotion video --csv` writes. @returns {Blob} */
  csv() {
    const head = [
      "frame", "time", "face", "x", "y", "width", "height", ...facts.labels,
      "sure", "score", "calm", "answer",
    ];
    const lines = [...this.frames.values()].flat().map(({ time, frame, box, score, face }) => {
      const [x0, y0, x1, y1] = box;
      const exact = (value) => (value === null ? "" : value.toFixed(4));
      return [
        frame, time.toFixed(3), face.number,
        ...[x0, y0, x1 - x0, y1 - y0].map((value) => value.toFixed(1)),
        ...face.probabilities.map(exact), Number(face.sure), exact(score), exact(face.calm),
        face.answer,
      ];
    });
    return csvFile([head, ...lines]);
  }
}

Object.assign(window.emotionPage, { Footage });
