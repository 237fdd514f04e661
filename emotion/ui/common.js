// @ts-check
/**
 * What the tabs share: sentences, bars and boxes.
 * It runs once, before any tab, with `facts` (strings, labels, colors, and so on) in scope.
 *
 * @typedef {{cells: number[], max: number}} Heat      64 values 0..255 in rows; 255 stands for max,
 *          the same for all maps of a face
 * @typedef {{number: number, box: number[] | null, place: number[], probabilities: number[],
 *            sure: boolean, reason: string | null, answer: string, settled?: boolean,
 *            explained: number, heat: Heat}} Face
 *          all coordinates are fractions of the picture; settled: the answer fits the numbers
 * @typedef {Pick<Face, "probabilities" | "answer"> & Partial<Face>} Answer
 * @typedef {Pick<Face, "place" | "box" | "heat">} Shown
 * @typedef {{width: number, height: number, mirrored: boolean, unit: number}} Frame
 *          size in canvas pixels; unit = canvas pixels per CSS pixel
 * @typedef {{heat: boolean, spotlight: boolean, opacity: number, selected: number,
 *            source: CanvasImageSource}} Look         source: the picture under the evidence
 */
const language = navigator.language.toLowerCase().startsWith("de") ? "de" : "en";

/** @param {string} key @param {Record<string, string | number>} [values] */
function say(key, values = {}) {
  return facts.strings[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Put the visitor's language into a component. @param {HTMLElement} root */
function translate(root) {
  if (language === "en") return;
  for (const node of root.querySelectorAll("[data-text]"))
    node.textContent = say(node.dataset.text, JSON.parse(node.dataset.values ?? "{}"));
  for (const node of root.querySelectorAll("[data-label]"))
    node.setAttribute("aria-label", say(node.dataset.label));
}

/** @param {number[]} values */
const strongest = (values) => values.indexOf(Math.max(...values));

/** @param {number} value 0..1 */
const percent = (value) => Math.round(value * 100);

/** @param {number} index */
const nameOf = (index) => say(facts.labels[index]);

/** The two strongest classes, as the values of a sentence. @param {number[]} probabilities */
function twoStrongest(probabilities) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const [first, second] = order;
  return {
    first: nameOf(first), first_share: percent(probabilities[first]),
    second: nameOf(second), second_share: percent(probabilities[second]),
  };
}

/** Which of its two ends an answer has, or that it is a class. @param {{answer: string}} face */
const kindOf = ({ answer }) =>
  answer === facts.calm ? "calm" : answer === facts.notSure ? "unsure" : "sure";

/** The colour of an answer: that of its class, or of none. @param {Face} face */
const colorOf = ({ answer }) => facts.colors[facts.labels.indexOf(answer)] ?? facts.unsure;

/**
 * What is said of a face: a name, its share, and what came next or what it is between. An answer
 * that was true a moment ago has no numbers: the newest ones contradict it.
 * @param {Answer} face
 */
function verdict(face) {
  const values = twoStrongest(face.probabilities);
  const settled = face.settled !== false;
  const between = settled ? say("between", values) : "";
  switch (kindOf(face)) {
    case "calm":
      return { name: say("calm"), share: "", detail: say("calm_detail") };
    case "unsure":
      return {
        name: say("not_sure"), share: "", detail: face.reason ? doubt(face.reason) : between,
      };
    default:
      return {
        name: say(face.answer),
        share: settled ? `${values.first_share} %` : "",
        detail: settled ? say("runner_up", values) : "",
      };
  }
}

/** @param {string} reason one of the server's, such as "perhaps no face" */
const doubt = (reason) => say(`doubt_${reason.replaceAll(" ", "_")}`);

/** The same for screen readers. @param {Face} face */
function spoken(face) {
  const said = { n: face.number, ...twoStrongest(face.probabilities) };
  const key = { calm: "face_label_calm", unsure: "face_label_unsure", sure: "face_label" };
  return say(key[kindOf(face)], said);
}

/** Show what a face got; nothing empties the bars. @param {HTMLElement} list @param {Face} [face] */
function fillBars(list, face) {
  const probabilities = face?.probabilities;
  const order = probabilities ? [...probabilities].sort((a, b) => b - a) : [];
  const kind = face && kindOf(face);
  list.classList.toggle("em-pale", kind === "calm");
  list.querySelectorAll("li").forEach((row, index) => {
    const value = probabilities ? probabilities[index] : 0;
    row.toggleAttribute("data-top", kind === "sure" && face.answer === facts.labels[index]);
    row.toggleAttribute("data-candidate", kind === "unsure" && value >= order[1]);
    row.dataset.value = probabilities ? String(value) : "";
    row.querySelector("i").style.width = `${value * 100}%`;
    row.querySelector(".em-bar-value").textContent = probabilities ? `${percent(value)} %` : "–";
  });
}

/** Box of a face as seen, in units of the frame. @param {Face} face @param {Partial<Frame>} frame */
function boxOnCanvas(face, { width, height, mirrored }) {
  const [x0, y0, x1, y1] = face.box ?? [0, 0, 1, 1];
  const left = mirrored ? 1 - x1 : x0;
  return { x: left * width, y: y0 * height, w: (x1 - x0) * width, h: (y1 - y0) * height };
}

/** What a chip may say, the most telling first: in a crowd the words would cover a neighbour. */
function chipWords(face, many) {
  const { name, share, detail } = verdict(face);
  const number = many ? `${face.number}` : "";
  const unsure = kindOf(face) === "unsure" && detail;
  const longer = face.reason
    ? say("chip_doubt", { reason: doubt(face.reason) })
    : say("chip_not_sure", twoStrongest(face.probabilities));
  const words = unsure ? [longer, name] : [`${name} ${share}`.trim()];
  return [...words.map((said) => `${number}  ${said}`.trim()), ...(many ? [number] : [])];
}

/** Where a chip goes: above its box, as far as the picture's upper edge allows. */
function chipPlace(context, text, box, { width, unit }) {
  context.font = `600 ${13 * unit}px system-ui, sans-serif`;
  const h = 26 * unit;
  const w = context.measureText(text).width + 32 * unit;
  const x = Math.max(2 * unit, Math.min(box.x, width - w - 2 * unit));
  const y = Math.max(2 * unit, box.y - h - 6 * unit);
  return { x, y, w, h };
}

const overlaps = (a, b) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** @param {CanvasRenderingContext2D} context */
function drawChip(context, text, color, { x, y, w, h }, unit) {
  context.fillStyle = "rgba(15, 16, 19, 0.86)";
  context.beginPath();
  context.roundRect(x, y, w, h, h / 2);
  context.fill();
  context.fillStyle = color;
  context.beginPath();
  context.arc(x + 13 * unit, y + h / 2, 4.5 * unit, 0, 7);
  context.fill();
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, x + 23 * unit, y + h / 2 + unit * 0.5);
}

/** @param {CanvasRenderingContext2D} context */
function drawBox(context, box, color, unit, chosen) {
  for (const [stroke, line] of [["rgba(15,16,19,.55)", 4], [color, 2]]) {
    context.strokeStyle = stroke;
    context.lineWidth = (line + (chosen ? 2 : 0)) * unit;
    context.beginPath();
    context.roundRect(box.x, box.y, box.w, box.h, Math.min(14 * unit, box.w / 6));
    context.stroke();
  }
}

/**
 * Draw heat maps, boxes and chips of all faces.
 * @param {CanvasRenderingContext2D} context @param {Face[]} faces @param {Frame} frame
 * @param {Look} look
 */
function drawFaces(context, faces, frame, look) {
  if (look.heat) for (const face of faces) drawEvidence(context, face, frame, look);
  const many = faces.length > 1;
  const boxes = faces.map((face) => boxOnCanvas(face, frame));
  const colors = faces.map(colorOf);
  faces.forEach((face, index) => {
    const chosen = many && index === look.selected;
    if (face.box) drawBox(context, boxes[index], colors[index], frame.unit, chosen);
  });
  placeChips(context, faces.map((face) => chipWords(face, many)), boxes, frame).forEach(
    ({ words, place }, index) => drawChip(context, words, colors[index], place, frame.unit),
  );
}

/** Give every chip its shortest words, then as many as cover no other chip and no other face. */
function placeChips(context, choices, boxes, frame) {
  const chip = (words, index) => ({ words, place: chipPlace(context, words, boxes[index], frame) });
  const chips = choices.map((words, index) => chip(words.at(-1), index));
  choices.forEach((words, index) => {
    const others = [...chips.map(({ place }) => place), ...boxes];
    const free = ({ place }) =>
      place.w < frame.width &&
      !others.some((other, at) => at % boxes.length !== index && overlaps(place, other));
    chips[index] = words.map((said) => chip(said, index)).find(free) ?? chips[index];
  });
  return chips;
}

/** Save a canvas as a PNG file. @param {HTMLCanvasElement} canvas */
function download(canvas) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    const moment = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
    link.download = `emotion-${moment}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

window.emotionPage = {
  language, colors: facts.colors, frameSide: facts.frameSide, unsure: facts.unsure, say, translate,
  nameOf, strongest, percent,
  verdict, colorOf, fillBars, drawFaces, download,
};
