// @ts-check
/**
 * Who is in view: numbers that stay, the face whose bars are shown, and each face's last minute.
 * It runs once, after common.js and in its scope; all times are seconds.
 *
 * @typedef {{at: number, probabilities: number[], sure: boolean}} Sample
 * @typedef {{number: number, face: Face & {id: number}, seen: number, history: Sample[]}} Person
 */
const SPAN = 60;
const SAMPLE_EVERY = 0.25;
const REMEMBERED = 2.5; // out of sight; a little longer than the server keeps a track
const HELD = 1.2; // for so long the bars of a face out of sight stay

class People {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Map<number, Person>} */
    this.known = new Map();
    this.chosen = 0;
  }

  /** Take the faces of an answer, the largest first; give them numbers and that order. */
  update(faces, now) {
    for (const [id, person] of this.known)
      if (now - person.seen > REMEMBERED && (faces.length || id !== this.chosen))
        this.known.delete(id);
    for (const face of faces) {
      if (!this.known.has(face.id))
        this.known.set(face.id, { number: this.freeNumber(), face, seen: now, history: [] });
      const person = this.known.get(face.id);
      face.number = person.number;
      Object.assign(person, { face, seen: now });
      this.sample(person, now);
    }
    if (faces.length && !this.shown(now)) this.chosen = faces[0].id;
    return faces.sort((one, other) => one.number - other.number);
  }

  freeNumber() {
    const taken = [...this.known.values()].map((person) => person.number);
    let number = 1;
    while (taken.includes(number)) number++;
    return number;
  }

  /** @param {Person} person */
  sample({ face, history }, now) {
    const { probabilities, sure } = face;
    if (!history.length || now - history.at(-1).at >= SAMPLE_EVERY)
      history.push({ at: now, probabilities, sure });
    while (now - history[0].at > SPAN) history.shift();
  }

  /** The face whose bars are shown, if it is in view or just was. */
  shown(now) {
    const person = this.known.get(this.chosen);
    return person && now - person.seen <= HELD ? person.face : undefined;
  }

  /** What the chosen face showed in the last minute. @returns {Sample[]} */
  get history() {
    return this.known.get(this.chosen)?.history ?? [];
  }
}

/**
 * Draw a minute: one row per class in the order of the bars, now at the right end.
 * Where the answer was not sure it is pale; where the face was out of sight it is empty.
 * @param {HTMLCanvasElement} canvas @param {Sample[]} history
 */
function drawTimeline(canvas, history, now) {
  const unit = window.devicePixelRatio || 1;
  const width = (canvas.width = Math.round(canvas.clientWidth * unit));
  const height = (canvas.height = Math.round(canvas.clientHeight * unit));
  const context = canvas.getContext("2d");
  const row = height / facts.labels.length;
  const place = (at) => Math.round(width * (1 - (now - at) / SPAN));
  history.forEach((sample, index) => {
    const end = Math.min(history[index + 1]?.at ?? now, sample.at + REMEMBERED);
    const left = place(sample.at);
    context.globalAlpha = sample.sure ? 1 : 0.35;
    sample.probabilities.forEach((probability, label) => {
      const high = probability * (row - 2 * unit);
      context.fillStyle = facts.colors[label];
      context.fillRect(left, row * (label + 1) - high, place(end) - left, high);
    });
  });
}

/** The same in a sentence. @param {Sample[]} history */
function timelineSentence(history, now) {
  if (!history.length) return say("timeline_empty");
  const counts = {};
  for (const { probabilities, sure } of history) {
    const name = sure ? nameOf(strongest(probabilities)) : say("not_sure");
    counts[name] = (counts[name] ?? 0) + 1;
  }
  const label = Object.keys(counts).sort((one, other) => counts[other] - counts[one])[0];
  return say("timeline_label", { seconds: Math.max(1, Math.round(now - history[0].at)), label });
}

Object.assign(window.emotionPage, { People, drawTimeline, timelineSentence });
