// @ts-check
/**
 * The icon bar over the live video, and the settings: beside it where there is room, else in a sheet
 * that the bar opens. It runs once, after common.js.
 */
const SMALL = window.matchMedia("(max-width: 900px)"); // as in the style sheets

class Sheet {
  /** @param {HTMLElement} root a tab's component */
  constructor(root) {
    this.sheet = root.querySelector(".em-sheet");
    this.button = root.querySelector("[data-do=settings]");
    this.button.addEventListener("click", () => this.toggle());
    this.sheet.querySelector("[data-do=close]").addEventListener("click", () => this.close());
    root.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && this.isOpen) this.close();
    });
  }

  get isOpen() {
    return this.button.getAttribute("aria-expanded") === "true";
  }

  toggle(open = !this.isOpen) {
    this.button.setAttribute("aria-expanded", String(open));
    this.sheet.classList.toggle("em-open", open);
  }

  close() {
    const inside = this.sheet.contains(document.activeElement);
    this.toggle(false);
    if (inside) this.button.focus();
  }
}

class Controls {
  /** @param {HTMLElement} root the Live tab's component */
  constructor(root) {
    this.section = root.querySelector(".em-live");
    this.stage = root.querySelector(".em-stage");
    this.bars = root.querySelector(".em-bars");
    this.sheet = new Sheet(root);
    this.state = "idle";
    this.byHand = false; // started by a button, not after a reload
    /** @type {any} */
    this.focused = null; // what had the focus before a start
    this.button = (name) => root.querySelector(`[data-do=${name}]`);
    root.querySelector(".em-start").addEventListener(
      "click", ({ target }) => (this.byHand = Boolean(target.closest("button"))), true,
    );
  }

  /** @param {string} state idle, starting, running or frozen @param {boolean} frozen */
  show(state, frozen) {
    const before = this.state;
    this.state = state;
    const active = document.activeElement;
    if (state === "starting") this.focused = this.section.contains(active) ? active : null;
    this.section.dataset.state = state;
    for (const name of ["freeze", "save", "switch"])
      this.button(name).disabled = state === "starting";
    const freeze = this.button("freeze");
    freeze.setAttribute("aria-pressed", String(frozen));
    freeze.querySelector("[data-text]").textContent = say(frozen ? "unfreeze" : "freeze");
    if (state === "idle") {
      if (before === "starting" && this.byHand) this.goBack();
      this.sheet.toggle(false);
      this.byHand = false;
    }
    if (state === "starting" && before === "idle" && this.byHand) this.arrive();
    if (state === "running" && before === "starting") this.keepFocus();
  }

  /** Bring the picture into view: where there is little room, all of it and what stands below. */
  arrive() {
    const [stage, bars] = [this.stage, this.bars].map((part) => part.getBoundingClientRect());
    const fits = stage.top >= 0 && Math.max(stage.bottom, bars.bottom) <= window.innerHeight;
    if (!fits || SMALL.matches) this.stage.scrollIntoView({ block: "start" });
  }

  /** It did not start: what went wrong is said at the top of the stage. */
  goBack() {
    if (this.stage.getBoundingClientRect().top < 0) this.stage.scrollIntoView({ block: "start" });
    this.focused?.focus({ preventScroll: true });
  }

  keepFocus() {
    const active = document.activeElement;
    if (active !== document.body && !this.section.contains(active)) return; // it went elsewhere
    const back = this.focused?.offsetParent && !this.focused.disabled ? this.focused : null;
    if (this.byHand || this.focused) (back ?? this.button("freeze")).focus({ preventScroll: true });
    this.byHand = false;
  }
}

Object.assign(window.emotionPage, { Controls, Sheet });
