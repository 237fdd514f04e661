// @ts-check
/**
 * The recording under the Live view: record, pause, mark, its timeline, and its two files.
 * It runs once, after session.js and in its scope.
 */
const SHOWN_EVERY = 250; // ms
const SURE_WITHIN = 6000; // ms in which "discard" must be pressed a second time

class Recorder {
  /** @param {HTMLElement} section the recording's part of the Live tab */
  constructor(section) {
    this.section = section;
    const find = (this.find = (selector) => section.querySelector(selector));
    this.session = new Session();
    this.canvas = find("canvas");
    this.face = 0; // whose timeline is shown; 0: of the first
    this.shownAt = 0;
    this.asking = 0; // timer, while "discard" must be pressed once more
    this.session.restore();
    const on = (name, action) => find(`[data-do=${name}]`).addEventListener("click", action);
    on("record", () => (this.runs ? this.pause() : this.record()));
    on("csv", () => this.saveTable());
    on("png", () => download(sessionPicture(this.session), this.fileName("png")));
    on("discard", () => this.discard());
    find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.mark();
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    onColours(() => this.draw());
    for (const event of ["pagehide", "visibilitychange"])
      window.addEventListener(event, () => this.session.keep(), true);
    this.show();
  }

  get runs() {
    return this.session.runs;
  }

  record() {
    this.session.record();
    this.show();
  }

  pause() {
    if (this.runs) this.session.pause();
    this.show();
  }

  /** Faces were seen. @param {Face[]} faces */
  see(faces) {
    if (!this.runs) return;
    this.session.add(faces);
    if (this.session.isFull) this.pause();
    else if (performance.now() - this.shownAt > SHOWN_EVERY) this.show();
  }

  mark() {
    const note = this.find("input");
    this.session.mark(note.value.trim());
    note.value = "";
    this.show();
  }

  /** Pressed twice, it forgets everything; once, it asks. */
  discard() {
    const words = this.find("[data-do=discard] span");
    const ask = (key) => Object.assign(words, { textContent: say(key) }).setAttribute("data-text", key);
    if (words.dataset.text === "session_discard") {
      ask("session_discard_sure");
      this.asking = setTimeout(() => ask("session_discard"), SURE_WITHIN);
      return;
    }
    clearTimeout(this.asking);
    ask("session_discard");
    this.session.clear();
    this.session.keep();
    this.face = 0;
    this.show();
    this.find("[data-do=record]").focus();
  }

  show() {
    const { session, section, find } = this;
    this.shownAt = performance.now();
    section.dataset.recording = session.isEmpty ? "none" : this.runs ? "runs" : "paused";
    const key = this.runs ? "record_pause" : session.isEmpty ? "record" : "record_on";
    find("[data-do=record] span").textContent = say(key);
    find("[data-do=record]").disabled = session.isFull;
    const state = session.isFull ? "session_full" : this.runs ? "session_runs" : "session_paused";
    find("[data-said]").textContent = session.isEmpty ? "" : say(state);
    find("time").textContent = session.isEmpty ? "" : clockTime(session.length);
    this.showFaces();
    find("ol.em-marks").replaceChildren(...session.markers.map(markerLine));
    this.draw();
  }

  /** Offer the faces to choose from, where there are several. */
  showFaces() {
    const { faces } = this.session;
    const group = this.find(".em-faces");
    group.hidden = faces.length < 2;
    if (!faces.includes(this.face)) this.face = faces[0] ?? 0;
    if (group.children.length !== faces.length)
      group.replaceChildren(...faces.map((face) => this.faceButton(face)));
    faces.forEach((face, index) =>
      group.children[index].setAttribute("aria-pressed", String(face === this.face)),
    );
  }

  /** @param {number} face */
  faceButton(face) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "em-chip", textContent: say("face_n", { n: face }) });
    button.addEventListener("click", () => {
      this.face = face;
      this.show();
    });
    return button;
  }

  draw() {
    const { canvas, session } = this;
    const unit = window.devicePixelRatio || 1;
    const width = (canvas.width = Math.round(canvas.clientWidth * unit));
    const height = (canvas.height = Math.round(canvas.clientHeight * unit));
    if (session.isEmpty || !width) return;
    const ink = getComputedStyle(canvas).color;
    drawSession(canvas.getContext("2d"), { x: 0, y: 0, width, height }, session, this.face, { unit, ink });
    const rows = session.rowsOf(this.face);
    const values = { time: clockTime(session.length), label: mostly(rows) ?? say("session_empty") };
    canvas.setAttribute("aria-label", say("session_label", values));
  }

  /** @param {string} ending */
  fileName(ending) {
    const moment = new Date(this.session.begun).toISOString().slice(0, 19).replace(/[:T]/g, "-");
    return `emotion-session-${moment}.${ending}`;
  }

  saveTable() {
    saveFile(this.session.csv(), this.fileName("csv"));
  }
}

/** @param {Marker} marker @param {number} index */
function markerLine({ at, note }, index) {
  const line = document.createElement("li");
  line.textContent = `${index + 1} · ${clockTime(at)}${note ? ` · ${note}` : ""}`;
  return line;
}

Object.assign(window.emotionPage, { Recorder });
