// @ts-check
/**
 * A recording of the Live tab: numbers and notes, never pictures, kept in this browser alone.
 * It runs once, after timeline.js and in its scope; all times are seconds of recording.
 *
 * @typedef {Sample & {face: number, calm: number | null, sure: boolean}} Row
 * @typedef {{at: number, note: string}} Marker
 */
const SESSION_KEY = "emotion-session";
const ROW_EVERY = 0.2; // s between two rows of a face
const MOST_ROWS = 60_000; // more than three hours of one face; they must fit into the tab's storage

class Session {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Marker[]} */
    this.markers = [];
    /** @type {number[]} */
    this.breaks = []; // when it was paused
    this.before = 0; // s recorded until the last pause
    this.since = 0; // ms on the page's clock, where it runs
    this.begun = 0; // ms since 1970
    this.newest = new Map(); // face -> when its newest row was
  }

  get runs() {
    return this.since > 0;
  }

  get isEmpty() {
    return !this.begun;
  }

  get isFull() {
    return this.rows.length >= MOST_ROWS;
  }

  /** How long it is by now. */
  get length() {
    return this.before + (this.runs ? (performance.now() - this.since) / 1000 : 0);
  }

  /** Numbers of the faces in it. @returns {number[]} */
  get faces() {
    return [...this.newest.keys()].sort((one, other) => one - other);
  }

  record() {
    if (this.runs || this.isFull) return;
    this.begun ||= Date.now();
    if (this.before) this.breaks.push(this.before);
    this.since = performance.now();
  }

  pause() {
    this.before = this.length;
    this.since = 0;
  }

  /** Take what was seen now. @param {Face[]} faces with their numbers */
  add(faces) {
    const at = round(this.length, 2);
    for (const { number: face, probabilities, answer, calm = null, sure } of faces) {
      if (at - (this.newest.get(face) ?? -1) < ROW_EVERY) continue;
      this.newest.set(face, at);
      this.rows.push({ at, face, probabilities, answer, calm, sure });
    }
  }

  /** @param {string} note */
  mark(note) {
    this.markers.push({ at: round(this.length, 2), note });
  }

  /** @param {number} face @returns {Row[]} */
  rowsOf(face) {
    return this.rows.filter((row) => row.face === face);
  }

  /** Everything as a table; a marker is a line of its own. @returns {Blob} */
  csv() {
    const numbers = ({ at, face, probabilities, calm, sure }) =>
      [at.toFixed(2), face, ...probabilities.map((p) => p.toFixed(4)), calm?.toFixed(4) ?? "", Number(sure), ""];
    const blank = Array(facts.labels.length + 3).fill("");
    const lines = [
      ...this.rows.map((row) => ({ at: row.at, cells: numbers(row) })),
      ...this.markers.map(({ at, note }) => ({ at, cells: [at.toFixed(2), ...blank, note] })),
    ].sort((one, other) => one.at - other.at);
    const head = ["time", "face", ...facts.labels, "calm", "sure", "marker"];
    return csvFile([head, ...lines.map(({ cells }) => cells)]);
  }

  /** Keep it over a reload of this tab. */
  keep() {
    const { rows, markers, breaks, begun } = this;
    const compact = rows.map((row) => [
      row.at, row.face, row.probabilities.map((p) => round(p, 4)), row.answer, row.calm, Number(row.sure),
    ]);
    const kept = this.isEmpty ? undefined
      : JSON.stringify({ compact, markers, breaks, begun, before: this.length });
    store(SESSION_KEY, kept, "sessionStorage");
  }

  /** Take up what was kept, paused. */
  restore() {
    const { compact, markers, breaks, begun, before } = storedValues(SESSION_KEY, "sessionStorage");
    if (!compact) return;
    this.rows = compact.map(([at, face, probabilities, answer, calm, sure]) => ({
      at, face, probabilities, answer, calm, sure: Boolean(sure),
    }));
    for (const { face, at } of this.rows) this.newest.set(face, at);
    Object.assign(this, { markers, breaks, begun, before });
  }
}

/** @param {number} value @param {number} decimals */
const round = (value, decimals) => Math.round(value * 10 ** decimals) / 10 ** decimals;
