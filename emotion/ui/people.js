// @ts-check
/**
 * Who is in view: numbers that stay, the face whose bars are shown, and each face's last minute.
 * It runs once, after common.js and in its scope; all times are seconds.
 *
 * @typedef {{number: number, face: Face & {id: number}, seen: number, history: Sample[]}} Person
 */
const SPAN = 60;
const SHORTEST_SPAN = 10; // a timeline that has just begun fills its width after so long
const SAMPLE_EVERY = 0.25;
const REMEMBERED = 2.5; // missing from answers; a little longer than the server keeps a track
const HELD = 1.2; // for so long the bars of a face that answers miss stay

class People {
  constructor() {
    this.clear();
  }

  /** @param {number} [taken] the highest number that nobody gets any more */
  clear(taken = 0) {
    this.taken = taken;
    /** @type {Map<number, Person>} */
    this.known = new Map();
    this.chosen = 0; // its id
    this.now = 0; // time of the newest answer
  }

  /**
   * Take the faces of an answer, the largest first; give them numbers and that order. Who comes is
   * numbered from left to right as seen, and keeps the number.
   * @param {(Face & {id: number})[]} faces @param {number} now @param {boolean} [mirrored]
   */
  update(faces, now, mirrored = false) {
    for (const [id, person] of this.known)
      if (this.now - person.seen > REMEMBERED && (faces.length || id !== this.chosen))
        this.known.delete(id);
    this.now = now;
    for (const face of inReadingOrder(faces, mirrored)) {
      if (!this.known.has(face.id))
        this.known.set(face.id, { number: this.freeNumber(), face, seen: now, history: [] });
      const person = this.known.get(face.id);
      face.number = person.number;
      Object.assign(person, { face, seen: now });
      this.sample(person);
    }
    if (faces.length && !this.shown) this.chosen = faces[0].id;
    return faces.sort((one, other) => one.number - other.number);
  }

  freeNumber() {
    const taken = [...this.known.values()].map((person) => person.number);
    let number = this.taken + 1;
    while (taken.includes(number)) number++;
    return number;
  }

  /** @param {Person} person */
  sample({ face, seen, history }) {
    const { probabilities, answer } = face;
    if (!history.length || seen - history.at(-1).at >= SAMPLE_EVERY)
      history.push({ at: seen, probabilities, answer });
    while (seen - history[0].at > SPAN) history.shift();
  }

  /** The face whose bars are shown, if it is in view or just was. */
  get shown() {
    const person = this.known.get(this.chosen);
    return person && this.now - person.seen <= HELD ? person.face : undefined;
  }
}

/**
 * Draw the chosen face's last minute, or as much of it as there is; now is at the right end.
 * @param {HTMLCanvasElement} canvas @param {People} people
 * @returns {number} seconds from the left end to now
 */
function drawTimeline(canvas, { known, chosen, now }) {
  const { history, seen } = known.get(chosen) ?? { history: [], seen: now };
  const unit = window.devicePixelRatio || 1;
  const width = (canvas.width = Math.round(canvas.clientWidth * unit));
  const height = (canvas.height = Math.round(canvas.clientHeight * unit));
  const span = Math.min(SPAN, Math.max(SHORTEST_SPAN, now - (history[0]?.at ?? now)));
  const area = { x: 0, y: 0, width, height };
  drawRows(canvas.getContext("2d"), area, history, now - span, now, seen);
  return span;
}

/** The same in a sentence. @param {People} people */
function timelineSentence({ known, chosen, now }) {
  const history = known.get(chosen)?.history;
  if (!history) return say("timeline_empty");
  const seconds = Math.max(1, Math.round(now - history[0].at));
  return say("timeline_label", { seconds, label: mostly(history) });
}
