// @ts-check
/** How fast the Live tab goes, in a line under the picture. It runs once, after common.js. */
const PACE_EVERY = 1000; // ms over which rate and latency are averaged

class Pace {
  /** @param {HTMLElement} place for the line @param {string} engine what computes the answers */
  constructor(place, engine) {
    this.place = place;
    this.engine = engine;
    this.rest();
  }

  /** No answer is expected now. */
  rest() {
    /** @type {number[]} */
    this.latencies = []; // ms, of the answers since `reported`
    this.reported = performance.now();
  }

  clear() {
    this.rest();
    this.place.textContent = "";
  }

  /**
   * An answer came: once a second, say how fast it goes.
   * @param {number} latency ms @param {string} [engine] that gave it, if it is another one
   */
  took(latency, engine = this.engine) {
    this.latencies.push(latency);
    const seconds = (performance.now() - this.reported) / 1000;
    if (seconds * 1000 < PACE_EVERY) return;
    const sorted = this.latencies.sort((one, other) => one - other);
    const rate = sorted.length / seconds;
    this.place.textContent = say("pace", {
      rate: rate.toLocaleString(language, { maximumFractionDigits: rate < 10 ? 1 : 0 }),
      latency: Math.round(sorted[sorted.length >> 1]),
      engine,
    });
    this.rest();
  }
}

Object.assign(window.emotionPage, { Pace });
