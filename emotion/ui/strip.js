// @ts-check
/**
 * Buttons that belong to faces: invisible ones over the picture, and a strip of thumbnails. Each
 * stays with its face, so that keyboard focus does too. It runs once, after faces.js.
 */
const STRIP_SIDE = 96; // px a side

/** @param {Face & {id?: number}} face */
const keyOf = (face) => face.id ?? face.number;

class FaceButtons {
  /**
   * @param {HTMLElement} place for the buttons
   * @param {(key: number) => void} choose called when one is pressed
   * @param {(button: HTMLButtonElement) => void} [make] fills a new one
   */
  constructor(place, choose, make = () => undefined) {
    this.place = place;
    this.choose = choose;
    this.make = make;
    /** @type {Map<number, HTMLButtonElement>} */
    this.buttons = new Map();
  }

  /**
   * @param {Face[]} faces in the order of the buttons @param {number} selected index of a face
   * @param {(key: number) => boolean} [stays] whether a face that is missing may come back at once
   */
  show(faces, selected, stays = () => false) {
    const keys = faces.map(keyOf);
    for (const [key, button] of this.buttons) {
      const focused = button === document.activeElement;
      if (!keys.includes(key) && !(focused && stays(key))) this.remove(key, button, focused);
    }
    keys.forEach((key, index) => {
      if (!this.buttons.has(key)) this.add(key);
      const button = this.buttons.get(key);
      this.moveTo(index, button);
      button.setAttribute("aria-pressed", String(index === selected));
      if (!button.hasAttribute("aria-label")) button.setAttribute("aria-label", spoken(faces[index]));
    });
  }

  /** Say what the faces' answers are now. @param {Face[]} faces */
  label(faces) {
    for (const face of faces) this.buttons.get(keyOf(face))?.setAttribute("aria-label", spoken(face));
  }

  /** Moving the button that has the focus would take it away, so then the others move. */
  moveTo(index, button) {
    const { children } = this.place;
    if (button !== document.activeElement) {
      if (children[index] !== button) this.place.insertBefore(button, children[index]);
    } else while (children[index] !== button) this.place.append(children[index]);
  }

  add(key) {
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => this.choose(key));
    this.make(button);
    this.buttons.set(key, button);
  }

  remove(key, button, focused) {
    this.buttons.delete(key);
    button.remove();
    if (focused) this.place.querySelector("button")?.focus();
  }
}

/** One invisible button over each face. */
class Targets extends FaceButtons {
  /** @param {Face[]} faces @param {boolean} mirrored @param {boolean} group which has a strip */
  cover(faces, mirrored, group) {
    for (const face of faces) {
      const button = this.buttons.get(keyOf(face));
      const { x, y, w, h } = boxOnCanvas(face, { width: 100, height: 100, mirrored });
      button.tabIndex = group ? -1 : 0; // the strip's buttons are there for the keyboard
      Object.assign(button.style, {
        left: `${x + w / 2}%`, top: `${y + h / 2}%`, width: `${w}%`, height: `${h}%`,
      });
    }
  }
}

/** A thumbnail of each face with its number and answer. */
class Strip extends FaceButtons {
  /** @param {HTMLElement} place @param {(key: number) => void} choose */
  constructor(place, choose) {
    super(place, choose, (button) => {
      button.innerHTML =
        `<canvas width="${STRIP_SIDE}" height="${STRIP_SIDE}"></canvas><b></b><span></span><i></i>`;
    });
  }

  /** Bring a face's thumbnail into view, where the strip is wider than its place. */
  reveal(key) {
    const { offsetLeft, offsetWidth } = this.buttons.get(key);
    const { place } = this;
    const room = place.clientWidth - offsetWidth;
    if (offsetLeft < place.scrollLeft) place.scrollLeft = offsetLeft;
    else if (offsetLeft > place.scrollLeft + room) place.scrollLeft = offsetLeft - room;
  }

  /** @param {Face[]} faces */
  write(faces) {
    for (const face of faces) {
      const button = this.buttons.get(keyOf(face));
      const { name, share } = verdict(face);
      const parts = { b: String(face.number), span: name, i: share };
      for (const [tag, words] of Object.entries(parts)) button.querySelector(tag).textContent = words;
      button.style.setProperty("--accent", colorOf(face));
    }
  }

  /**
   * @param {Face[]} faces @param {CanvasImageSource} source
   * @param {Partial<Frame>} frame in pixels of the source
   */
  draw(faces, source, { width, height, mirrored }) {
    for (const face of faces) {
      const context = this.buttons.get(keyOf(face)).querySelector("canvas").getContext("2d");
      const { x, y, w, h } = boxOnCanvas(face, { width, height, mirrored: false });
      const side = 1.25 * Math.max(w, h);
      context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? STRIP_SIDE : 0, 0);
      context.clearRect(0, 0, STRIP_SIDE, STRIP_SIDE);
      context.drawImage(
        source, x + (w - side) / 2, y + (h - side) / 2, side, side, 0, 0, STRIP_SIDE, STRIP_SIDE,
      );
    }
  }
}
