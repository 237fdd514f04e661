// @ts-check
/**
 * The card of one face of a photo: its answer, the crop with its evidence, the bars, why, covering
 * by hand, and the evidence for all six classes side by side. It runs once, after brush.js.
 *
 * @typedef {Face & {crop: string, heats: Heat[], why: string, sentences: string[],
 *            parts: string[] | null}} PhotoFace
 */
const WHOLE = [1, 0, 0, 1, 0, 0]; // the place of a crop in a picture of itself

class Card {
  /**
   * @param {HTMLElement} node a copy of the template @param {PhotoFace} face of the photo's answer
   * @param {Look} look of all cards
   * @param {(mask: string) => Promise<any>} ask for the answer to a covered face
   * @param {(choice: number) => void} chosen called when a class is chosen by hand
   */
  constructor(node, face, look, ask, chosen) {
    this.node = node;
    this.face = face;
    this.look = look;
    const find = (selector) => node.querySelector(selector);
    const { name, share, detail } = verdict(face);
    find(".em-number").textContent = String(face.number);
    find("h2").textContent = name;
    find(".em-winner").textContent = share;
    find(".em-detail").textContent = detail;
    node.style.setProperty("--accent", colorOf(face));
    this.canvas = find(".em-crop canvas");
    this.bars = find(".em-bars");
    this.select = find("select");
    this.select.setAttribute("aria-label", say("explain_face", { n: face.number }));
    this.faint = find(".em-faint");
    this.six = [...node.querySelectorAll(".em-six button")];
    this.brush = new Brush(node, face.parts, ask, () => {
      this.showBars();
      this.draw();
    });
    this.showBars();
    this.select.addEventListener("change", () => chosen(Number(this.select.value)));
    this.six.forEach((button, index) => {
      button.querySelector(".em-share").textContent = `${percent(face.probabilities[index])} %`;
      button.addEventListener("click", () => chosen(index));
    });
    this.picture = new Image();
    this.picture.onload = () => this.draw(true);
    this.picture.src = face.crop;
  }

  /** Bars of the face as it is, or with places covered; then a mark stays where they were. */
  showBars() {
    const { covered } = this.brush;
    const { probabilities } = this.face;
    fillBars(this.bars, covered ?? this.face);
    this.bars.classList.toggle("em-was", Boolean(covered));
    this.bars.querySelectorAll("li").forEach((row, at) =>
      row.style.setProperty("--was", `${probabilities[at] * 100}%`),
    );
  }

  /** @param {number} choice class to explain, or -1 for the strongest */
  explain(choice) {
    const { face, node } = this;
    explainFace(face, choice);
    this.select.value = String(choice);
    node.querySelector(".em-why").textContent = choice < 0 ? face.why : face.sentences[choice];
    this.six.forEach((button, index) =>
      button.setAttribute("aria-pressed", String(index === face.explained)),
    );
    this.draw();
  }

  /** @param {boolean} [all] the six small maps, too; they change with the look only */
  draw(all = false) {
    const { face, canvas, brush, look, picture } = this;
    if (face.explained === undefined) return;
    const label = nameOf(face.explained);
    canvas.setAttribute("aria-label", say("photo_crop_label", { n: face.number, label }));
    const clear = !brush.mask.includes(1); // the maps belong to the face as it is
    this.drawMap(canvas, brush.covered?.picture ?? picture, clear && look.heat ? face.heat : null);
    if (brush.waiting) brush.draw(canvas.getContext("2d"));
    const faint = face.probabilities[face.explained] < facts.faint;
    this.faint.hidden = !(faint && clear && look.heat);
    this.faint.textContent = say("cover_faint", { label });
    if (all)
      this.six.forEach((button, index) =>
        this.drawMap(button.querySelector("canvas"), picture, face.heats[index]),
      );
  }

  drawMap(canvas, picture, heat) {
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    if (!heat || !picture.naturalWidth) return;
    const frame = { width, height, mirrored: false, unit: width / 148 };
    const look = { ...this.look, source: picture };
    drawEvidence(context, { place: WHOLE, box: null, heat }, frame, look);
  }
}

/** @param {PhotoFace} face @param {number} choice class to explain, or -1 for the strongest */
function explainFace(face, choice) {
  face.explained = choice < 0 ? strongest(face.probabilities) : choice;
  face.heat = face.heats[face.explained];
}

/** Toggle a button. @param {HTMLElement} button @returns {boolean} whether it is pressed now */
function press(button) {
  const pressed = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(pressed));
  return pressed;
}

Object.assign(window.emotionPage, { Card, press });
