// @ts-check
/**
 * The sentence of the cover test on the Live tab: when to ask for it, and how long it is true.
 * It runs once, after people.js and in its scope.
 */
const COVER_EVERY = 1000; // ms between two cover tests of the chosen face
const COVER_WITHIN = 150; // ms in which an answer must come for there to be time for one
const COVER_LASTS = 3000; // ms for which its sentence is shown while the face moves on

class Why {
  /** @param {HTMLElement} place for the sentence @param {People} people */
  constructor(place, people) {
    this.place = place;
    this.people = people;
    this.forget();
  }

  forget() {
    this.asked = 0; // when a cover test was asked for last
    this.said = { id: 0, explained: -1, sentence: "", at: 0 };
    this.place.textContent = "";
  }

  /**
   * Whose parts to cover now: of a frozen face at once, else every second if there is time.
   * @param {boolean} frozen @param {number} latency of the newest answer in ms
   * @returns {number} id of the face, or 0
   */
  due(frozen, latency) {
    const now = performance.now();
    const early = now - this.asked < COVER_EVERY || latency > COVER_WITHIN;
    if (!frozen && early) return 0;
    this.asked = now;
    return this.people.chosen;
  }

  /**
   * Show the newest sentence about the chosen face and its explained class as long as it can be true.
   * @param {(Face & {id: number, why?: string})[]} faces @param {boolean} frozen
   */
  show(faces, frozen) {
    const face = faces.find(({ id }) => id === this.people.chosen);
    const now = performance.now();
    if (face?.why)
      this.said = { id: face.id, explained: face.explained, sentence: face.why, at: now };
    const { said } = this;
    const other = said.id !== this.people.chosen || (face && face.explained !== said.explained);
    const faint = face && face.probabilities[face.explained] < facts.faint;
    const words = faint ? say("cover_faint", { label: nameOf(face.explained) }) : said.sentence;
    const old = other || (!frozen && now - said.at > COVER_LASTS);
    const shown = old && !faint ? "" : words;
    if (this.place.textContent !== shown) this.place.textContent = shown;
  }
}

Object.assign(window.emotionPage, { Why });
