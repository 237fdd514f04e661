// @ts-check
/**
 * Covering places of a face by hand: a chip per part, a brush for anything else; the bars answer.
 * It runs once, before card.js and in its scope.
 */
const CROP = facts.crop; // px a side of the crop and of the mask
const BRUSH = 4.5; // px of the crop

class Brush {
  /**
   * @param {HTMLElement} node the card @param {string[] | null} parts masks as the server packs them
   * @param {(mask: string) => Promise<any>} ask the server, with a packed mask
   * @param {() => void} redraw the card, after `covered` or the mask has changed
   */
  constructor(node, parts, ask, redraw) {
    this.ask = ask;
    this.redraw = redraw;
    this.parts = parts?.map(unpack);
    this.painted = new Uint8Array(CROP * CROP);
    this.covered = null; // what the server made of it: {picture, probabilities, answer, turn}
    this.turn = 0; // of the newest question; later answers to older ones are dropped
    this.asking = false;
    this.canvas = node.querySelector(".em-crop canvas");
    this.controls = node.querySelector(".em-covers");
    this.chips = [...this.controls.querySelectorAll("[data-part]")];
    this.toggle = this.controls.querySelector("[data-do=brush]");
    this.off = this.controls.querySelector("[data-do=uncover]");
    this.status = this.controls.querySelector("p");
    for (const chip of this.chips) {
      chip.hidden = !this.parts;
      chip.addEventListener("click", () => this.press(chip));
    }
    this.toggle.addEventListener("click", () => this.use(!this.active));
    this.off.addEventListener("click", () => this.uncover());
    this.canvas.addEventListener("pointerdown", (event) => this.stroke(event));
    this.canvas.addEventListener("pointermove", (event) => event.buttons && this.stroke(event));
  }

  get active() {
    return this.toggle.getAttribute("aria-pressed") === "true";
  }

  get pressed() {
    return this.chips.filter((chip) => chip.getAttribute("aria-pressed") === "true");
  }

  /** Whether places are covered that the server has not answered for yet. */
  get waiting() {
    return this.mask.includes(1) && this.covered?.turn !== this.turn;
  }

  /** Everything that is covered. @returns {Uint8Array} 0 or 1 for each pixel of the crop */
  get mask() {
    const mask = Uint8Array.from(this.painted);
    for (const chip of this.pressed)
      this.parts[Number(chip.dataset.part)].forEach((bit, at) => (mask[at] |= bit));
    return mask;
  }

  press(chip) {
    press(chip);
    this.update();
  }

  use(active) {
    this.toggle.setAttribute("aria-pressed", String(active));
    this.canvas.classList.toggle("em-brush", active);
    this.say();
  }

  /** @param {PointerEvent} event */
  stroke(event) {
    if (!this.active) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * CROP - 0.5;
    const y = ((event.clientY - top) / height) * CROP - 0.5;
    for (let at = 0; at < this.painted.length; at++)
      if (Math.hypot((at % CROP) - x, Math.floor(at / CROP) - y) <= BRUSH) this.painted[at] = 1;
    this.update();
  }

  uncover() {
    this.painted.fill(0);
    for (const chip of this.pressed) chip.setAttribute("aria-pressed", "false");
    this.update();
    this.toggle.focus();
  }

  /** Ask for the newest mask, one question at a time. */
  async update() {
    this.turn++;
    const empty = !this.mask.includes(1);
    this.off.hidden = empty;
    if (empty) this.covered = null;
    this.redraw();
    this.say();
    if (this.asking || empty) return;
    this.asking = true;
    for (let turn = 0; turn !== this.turn && this.mask.includes(1); ) {
      turn = this.turn;
      const answer = await this.ask(pack(this.mask));
      if (!this.mask.includes(1)) break;
      if (!answer?.crop) {
        this.status.textContent = say(answer?.error ?? "photo_unreachable");
        break;
      }
      const picture = new Image();
      picture.src = answer.crop;
      await picture.decode();
      if (turn === this.turn) {
        this.covered = { ...answer, picture, turn };
        this.redraw();
        this.say();
      }
    }
    this.asking = false;
  }

  /** Say what the answer is now, or what the brush is for. */
  say() {
    if (!this.covered) {
      this.status.textContent = this.active ? say("cover_hint") : "";
      return;
    }
    const { name, share } = verdict(this.covered);
    const answer = `${name} ${share}`.trim();
    const part = this.pressed.map((chip) => chip.textContent.trim()).join(", ");
    const byHand = this.painted.includes(1);
    this.status.textContent =
      part && !byHand ? say("cover_shown", { part, answer }) : say("cover_shown_brush", { answer });
  }

  /** Show which places are waiting for their answer. @param {CanvasRenderingContext2D} context */
  draw(context) {
    const unit = this.canvas.width / CROP;
    context.fillStyle = "rgba(128, 128, 128, 0.75)";
    this.mask.forEach((bit, at) => {
      if (bit) context.fillRect((at % CROP) * unit, Math.floor(at / CROP) * unit, unit, unit);
    });
  }
}

/** @param {string} text a bit per pixel in rows, base64 @returns {Uint8Array} */
function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Uint8Array.from({ length: CROP * CROP }, (_, at) => (bytes[at >> 3] >> (7 - (at & 7))) & 1);
}

/** @param {Uint8Array} mask @returns {string} */
function pack(mask) {
  const bytes = new Uint8Array(mask.length / 8);
  mask.forEach((bit, at) => (bytes[at >> 3] |= bit << (7 - (at & 7))));
  return btoa(String.fromCharCode(...bytes));
}

Object.assign(window.emotionPage, { Brush });
