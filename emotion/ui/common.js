// @ts-check
/**
 * What the tabs share: sentences and bars.
 * It runs once, after storage.js and before any tab, with `facts` (strings, labels, colors, and so on) in scope.
 *
 * @typedef {{cells: number[], max: number}} Heat      64 values 0..255 in rows; 255 stands for max,
 *          the same for all maps of a face
 * @typedef {{number: number, box: number[] | null, place: number[], probabilities: number[],
 *            sure: boolean, reason: string | null, answer: string, calm?: number | null,
 *            settled?: boolean, explained: number, heat: Heat}} Face
 *          all coordinates are fractions of the picture; settled: the answer fits the numbers
 * @typedef {Pick<Face, "probabilities" | "answer"> & Partial<Face>} Answer
 * @typedef {Pick<Face, "place" | "box" | "heat">} Shown
 * @typedef {{width: number, height: number, mirrored: boolean, unit: number}} Frame
 *          size in canvas pixels; unit = canvas pixels per CSS pixel
 * @typedef {{heat: boolean, spotlight: boolean, opacity: number, selected: number,
 *            group?: boolean, source: CanvasImageSource}} Look
 *          group: dots in place of chips, by default as many faces ask for; source: the picture
 *          under the evidence
 */
const language = (stored("emotion-language") ?? navigator.language).toLowerCase().startsWith("de")
  ? "de" : "en";

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Let files be dropped. @param {HTMLElement} section @param {(given: DataTransfer) => void} taken */
function onDrop(section, taken) {
  section.addEventListener("dragover", (event) => {
    event.preventDefault();
    section.classList.add("em-dragging");
  });
  section.addEventListener("dragleave", () => section.classList.remove("em-dragging"));
  section.addEventListener("drop", (event) => {
    event.preventDefault();
    section.classList.remove("em-dragging");
    taken(event.dataTransfer);
  });
}

/** @param {string} key @param {Record<string, string | number>} [values] */
function say(key, values = {}) {
  return facts.strings[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Put the visitor's language into a component. @param {HTMLElement} root */
function translate(root) {
  root.lang = language; // Gradio gives the page the browser's, which may be neither of ours
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
        detail: settled && values.second_share ? say("runner_up", values) : "",
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

/** Draw anew when the page turns dark or light: a canvas keeps the ink it was drawn with. @param {() => void} draw */
const onColours = (draw) =>
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["class"] });

/** Let the visitor save a file. @param {Blob} blob @param {string} name */
function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Save a canvas as a PNG file. @param {HTMLCanvasElement} canvas @param {string} [name] */
function download(canvas, name) {
  const moment = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  canvas.toBlob((blob) => saveFile(blob, name ?? `emotion-${moment}.png`), "image/png");
}

window.emotionPage = {
  stored, store, sleep, onDrop, onColours, saveFile,
  language, colors: facts.colors, unsure: facts.unsure, say, translate,
  nameOf, strongest, percent,
  verdict, colorOf, fillBars, download,
};
