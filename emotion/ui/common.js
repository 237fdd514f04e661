// @ts-check
/**
 * What the tabs share: sentences, bars, heat maps, boxes and the camera.
 * It runs once, before any tab, with `facts` (strings, labels, colors) in scope.
 *
 * @typedef {{cells: number[], max: number}} Heat      64 values 0..255 in rows; 255 stands for max
 * @typedef {{box: number[] | null, place: number[], probabilities: number[], explained: number,
 *            heat: Heat}} Face                        all coordinates are fractions of the picture
 * @typedef {{width: number, height: number, mirrored: boolean, unit: number}} Frame
 *          size in canvas pixels; unit = canvas pixels per CSS pixel
 * @typedef {{heat: boolean, opacity: number, selected: number}} Look
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

/** Show six probabilities; null empties the bars. @param {HTMLElement} list */
function fillBars(list, probabilities) {
  const top = probabilities ? strongest(probabilities) : -1;
  list.querySelectorAll("li").forEach((row, index) => {
    const value = probabilities ? probabilities[index] : 0;
    row.toggleAttribute("data-top", index === top);
    row.dataset.value = probabilities ? String(value) : "";
    row.querySelector("i").style.width = `${value * 100}%`;
    row.querySelector(".em-bar-value").textContent = probabilities ? `${percent(value)} %` : "–";
  });
}

// Anchors of an inferno-like ramp: dark, violet, red, orange, yellow; lightness rises evenly.
const RAMP = [
  [6, 3, 20], [60, 12, 95], [120, 28, 109], [178, 50, 90], [226, 89, 51], [250, 150, 20],
  [252, 214, 75], [252, 252, 180],
];

/** @param {number} value 0..1 @returns {number[]} red, green, blue */
function rampColor(value) {
  const at = Math.min(value, 0.9999) * (RAMP.length - 1);
  const low = Math.floor(at);
  return RAMP[low].map((channel, i) => mix(channel, RAMP[low + 1][i], at - low));
}

const HEAT_SIDE = 64;
// The two cells around each pixel and the second one's weight; cell centres lie at (i + 0.5) / 8.
// Bilinear on purpose: a cubic would ring and paint evidence where there is none.
const TAPS = Array.from({ length: HEAT_SIDE }, (_, pixel) => {
  const position = Math.min(7, Math.max(0, ((pixel + 0.5) * 8) / HEAT_SIDE - 0.5));
  const cell = Math.min(6, Math.floor(position));
  return { cell, weight: position - cell };
});

const mix = (from, to, weight) => from + weight * (to - from);

/** Colour an 8x8 map; the weaker the evidence, the more transparent. @param {Heat} heat */
function heatPicture(heat) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = HEAT_SIDE;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(HEAT_SIDE, HEAT_SIDE);
  const at = (row, column) => heat.cells[row * 8 + column] / 255;
  TAPS.forEach(({ cell: row, weight: down }, y) =>
    TAPS.forEach(({ cell: column, weight: right }, x) => {
      const upper = mix(at(row, column), at(row, column + 1), right);
      const lower = mix(at(row + 1, column), at(row + 1, column + 1), right);
      const value = mix(upper, lower, down);
      picture.data.set([...rampColor(value), 255 * value], (y * HEAT_SIDE + x) * 4);
    }),
  );
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** Box of a face in canvas pixels, as seen. @param {Face} face @param {Frame} frame */
function boxOnCanvas(face, { width, height, mirrored }) {
  const [x0, y0, x1, y1] = face.box ?? [0, 0, 1, 1];
  const left = mirrored ? 1 - x1 : x0;
  return { x: left * width, y: y0 * height, w: (x1 - x0) * width, h: (y1 - y0) * height };
}

/** @param {CanvasRenderingContext2D} context @param {Face} face @param {Frame} frame */
function drawHeat(context, face, frame, opacity) {
  const box = boxOnCanvas(face, { ...frame, mirrored: false });
  const [a, b, c, d, e, f] = face.place;
  context.save();
  if (frame.mirrored) context.transform(-1, 0, 0, 1, frame.width, 0);
  if (face.box) {
    context.beginPath();
    context.ellipse(box.x + box.w / 2, box.y + box.h / 2, box.w / 2, box.h / 2, 0, 0, 7);
    context.clip();
  }
  context.globalAlpha = opacity;
  const { width, height } = frame;
  context.transform(a * width, b * height, c * width, d * height, e * width, f * height);
  context.imageSmoothingQuality = "high";
  context.drawImage(heatPicture(face.heat), 0, 0, 1, 1);
  context.restore();
}

/** Where a chip goes: above its box, or inside it at the picture's upper edge. */
function chipPlace(context, text, box, { width, unit }) {
  context.font = `600 ${13 * unit}px system-ui, sans-serif`;
  const h = 26 * unit;
  const w = context.measureText(text).width + 32 * unit;
  const x = Math.max(2 * unit, Math.min(box.x, width - w - 2 * unit));
  const y = box.y - h - 6 * unit > 0 ? box.y - h - 6 * unit : box.y + 6 * unit;
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

/**
 * Draw heat maps, boxes and chips of all faces.
 * @param {CanvasRenderingContext2D} context @param {Face[]} faces @param {Frame} frame
 * @param {Look} look
 */
function drawFaces(context, faces, frame, look) {
  if (look.heat) for (const face of faces) drawHeat(context, face, frame, look.opacity);
  const chips = [];
  faces.forEach((face, index) => {
    const top = strongest(face.probabilities);
    const box = boxOnCanvas(face, frame);
    const chosen = index === look.selected && faces.length > 1;
    if (face.box) {
      const radius = Math.min(14 * frame.unit, box.w / 6);
      for (const [color, line] of [["rgba(15,16,19,.55)", 4], [facts.colors[top], 2]]) {
        context.strokeStyle = color;
        context.lineWidth = (line + (chosen ? 2 : 0)) * frame.unit;
        context.beginPath();
        context.roundRect(box.x, box.y, box.w, box.h, radius);
        context.stroke();
      }
    }
    const number = faces.length > 1 ? `${index + 1}` : "";
    const text = `${number}  ${nameOf(top)} ${percent(face.probabilities[top])} %`.trim();
    // In a crowd the words would cover a neighbour; the card has them.
    const place = [text, number].map((words) => chipPlace(context, words, box, frame));
    const fits = !number || !chips.some((other) => overlaps(place[0], other));
    chips.push(fits ? place[0] : place[1]);
    drawChip(context, fits ? text : number, facts.colors[top], chips.at(-1), frame.unit);
  });
}

/** The sentence for a camera that did not open. @param {unknown} error @returns {string} key */
function cameraProblem(error) {
  if (!window.isSecureContext || !navigator.mediaDevices) return "camera_insecure";
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "camera_refused";
  if (name === "NotReadableError" || name === "AbortError") return "camera_in_use";
  return "camera_missing";
}

/** Open a camera into a <video>. @param {HTMLVideoElement} video @param {object} choice */
async function openCamera(video, choice) {
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...choice } });
  try {
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    closeCamera(stream);
    throw error;
  }
  return stream;
}

/** @param {MediaStream | null} stream */
const closeCamera = (stream) => stream?.getTracks().forEach((track) => track.stop());

/** @param {MediaStream} stream */
const looksAtVisitor = (stream) =>
  stream.getVideoTracks()[0].getSettings().facingMode !== "environment";

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
  language, colors: facts.colors, say, translate, strongest, percent, nameOf, fillBars,
  heatPicture, drawFaces, cameraProblem, openCamera, closeCamera, looksAtVisitor, download,
};
