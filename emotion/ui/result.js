// @ts-check
/**
 * The result of one photo: the picture with its faces, and a card per face; of a group, a strip of
 * thumbnails and the card of the one that was chosen. It runs once, after card.js and strip.js.
 */
const SHOWN_SIDE = 1600; // px of the longer side of the picture on the page

class Result {
  /**
   * @param {HTMLElement} section of the Photo tab
   * @param {(crop: string, mask: string) => Promise<any>} cover asks for the answer to a covered face
   */
  constructor(section, cover) {
    const find = (selector) => section.querySelector(selector);
    this.section = section;
    this.cover = cover;
    this.canvas = find(".em-picture canvas");
    this.place = find(".em-cards");
    this.template = find("template");
    this.group = find(".em-group");
    const choose = (number) => this.choose(number);
    this.targets = new Targets(find(".em-targets"), choose);
    this.strip = new Strip(find(".em-strip"), choose);
    this.look = { heat: true, spotlight: true, opacity: 0.75, selected: -1, source: null };
    this.explain = find(".em-toolbar [data-do=explain]");
    this.sheet = new Sheet(section);
    this.clear();
    this.listen(find);
    new ResizeObserver(() => this.drawPhoto()).observe(this.canvas);
  }

  listen(find) {
    const { look, section } = this;
    find(".em-toolbar [data-do=heat]").addEventListener("change", ({ target }) => {
      look.heat = target.checked;
      this.redraw();
    });
    find(".em-toolbar [data-do=spotlight]").addEventListener("click", ({ currentTarget }) => {
      look.spotlight = section.classList.toggle("em-spot", press(currentTarget));
      this.redraw();
    });
    find(".em-toolbar [data-do=opacity]").addEventListener("input", ({ target }) => {
      look.opacity = target.value / 100;
      this.redraw();
    });
    this.explain.addEventListener("change", () => this.explainAll(Number(this.explain.value)));
  }

  clear() {
    /** @type {{original: HTMLImageElement, photo: HTMLCanvasElement} | null} */
    this.picture = null; // as it was given, and as large as it is shown
    /** @type {PhotoFace[]} */
    this.faces = [];
    /** @type {Map<number, Card>} cards by number; those of a group are made when they are asked for */
    this.cards = new Map();
  }

  /** @param {{faces: PhotoFace[]}} answer @param {HTMLImageElement} original the picture as it was given */
  show({ faces }, original) {
    this.clear();
    const side = Math.max(original.naturalWidth, original.naturalHeight);
    const photo = drawn(original, Math.min(1, SHOWN_SIDE / side));
    const { width, height } = photo;
    this.picture = { original, photo };
    this.faces = inReadingOrder(faces);
    this.faces.forEach((face, index) => (face.number = index + 1));
    const { canvas, look, section, strip, targets } = this;
    const group = isGroup(faces);
    look.source = photo;
    look.selected = group ? this.faces.indexOf(faces[0]) : -1;
    section.classList.toggle("em-one", faces.length === 1);
    section.classList.toggle("em-none", !faces.length);
    canvas.width = width;
    canvas.height = height;
    section.style.setProperty("--ratio", String(width / height));
    this.group.hidden = !group;
    for (const buttons of [targets, strip]) buttons.show([], -1); // nothing stays from another photo
    const many = faces.length > 1 ? this.faces : [];
    targets.show(many, look.selected);
    targets.cover(many, false, group);
    if (group) {
      strip.show(this.faces, look.selected);
      strip.write(this.faces);
      strip.draw(this.faces, photo, { width, height, mirrored: false });
      strip.reveal(faces[0].number);
    }
    this.explain.value = "-1";
    for (const face of this.faces) explainFace(face, -1);
    this.showCards(group ? [faces[0]] : this.faces);
    this.drawPhoto();
  }

  /** @param {PhotoFace[]} faces */
  showCards(faces) {
    this.place.replaceChildren(...faces.map((face) => this.card(face).node));
  }

  /** @param {PhotoFace} face */
  card(face) {
    if (!this.cards.has(face.number)) {
      const node = this.template.content.cloneNode(true).firstElementChild;
      translate(node);
      const card = new Card(node, face, this.look, (mask) => this.cover(face.crop, mask), (choice) => {
        card.explain(choice);
        this.drawPhoto();
      });
      card.explain(Number(this.explain.value));
      this.cards.set(face.number, card);
    }
    return this.cards.get(face.number);
  }

  /** A face was tapped: show its card, in a group instead of the one that is there. */
  choose(number) {
    const { faces, look, strip, targets } = this;
    const face = faces.find((one) => one.number === number);
    look.selected = faces.indexOf(face);
    targets.show(faces, look.selected);
    if (isGroup(faces)) {
      strip.show(faces, look.selected);
      strip.reveal(number);
      this.showCards([face]);
    } else this.card(face).node.scrollIntoView({ block: "nearest" });
    this.drawPhoto();
  }

  /** @param {number} choice class to explain, or -1 for the strongest of each face */
  explainAll(choice) {
    for (const face of this.faces) explainFace(face, choice);
    for (const card of this.cards.values()) card.explain(choice);
    this.drawPhoto();
  }

  drawPhoto() {
    if (!this.picture) return;
    const { canvas } = this;
    this.drawOn(canvas, this.picture.photo, canvas.width / (canvas.clientWidth || canvas.width));
  }

  /** @param {HTMLCanvasElement} canvas @param {CanvasImageSource} source @param {number} unit */
  drawOn(canvas, source, unit) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    context.drawImage(source, 0, 0, width, height);
    drawFaces(context, this.faces, { width, height, mirrored: false, unit }, this.look);
  }

  /** Draw the result in the size that the picture was given in. @returns {HTMLCanvasElement} */
  whole() {
    const { original } = this.picture;
    const pixels = original.naturalWidth * original.naturalHeight;
    const whole = drawn(original, Math.min(1, Math.sqrt(PORTABLE / pixels)));
    this.drawOn(whole, original, whole.width / (this.canvas.clientWidth || whole.width));
    return whole;
  }

  redraw() {
    this.drawPhoto();
    for (const card of this.cards.values()) card.draw(true);
  }
}

Object.assign(window.emotionPage, { Result, groupSummary, isGroup });
