// @ts-check
/**
 * Faces on a picture: evidence, boxes and chips. It runs once, after evidence.js and group.js and in
 * their scope.
 */
const SMALLEST = 32; // CSS px of a face's height below which the evidence of many is a blot
const DARK_CHIP = "rgba(15, 16, 19, 0.86)";

/** Begin a path around a box. Safari 15 and Firefox before 112 have no roundRect.
 * @param {CanvasRenderingContext2D} context
 */
function roundedBox(context, x, y, w, h, radius) {
  context.beginPath();
  if (context.roundRect) return context.roundRect(x, y, w, h, radius);
  context.moveTo(x + radius, y);
  context.arcTo(x + w, y, x + w, y + h, radius);
  context.arcTo(x + w, y + h, x, y + h, radius);
  context.arcTo(x, y + h, x, y, radius);
  context.arcTo(x, y, x + w, y, radius);
  context.closePath();
}

/**
 * Box of a face as seen, in units of the frame.
 * @param {{box: number[] | null}} face @param {Partial<Frame>} frame
 */
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
  context.fillStyle = DARK_CHIP;
  roundedBox(context, x, y, w, h, h / 2);
  context.fill();
  context.fillStyle = color;
  context.beginPath();
  context.arc(x + 13 * unit, y + h / 2, 4.5 * unit, 0, 7);
  context.fill();
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, x + 23 * unit, y + h / 2 + unit * 0.5);
}

/** @param {CanvasRenderingContext2D} context @param {number[]} widths of its two lines, in CSS px */
function drawBox(context, box, color, unit, widths) {
  ["rgba(15,16,19,.55)", color].forEach((stroke, line) => {
    context.strokeStyle = stroke;
    context.lineWidth = widths[line] * unit;
    roundedBox(context, box.x, box.y, box.w, box.h, Math.min(14 * unit, box.w / 6));
    context.stroke();
  });
}

/**
 * Draw heat maps and boxes of all faces, and a chip each, or dots where there are many.
 * @param {CanvasRenderingContext2D} context @param {Face[]} faces @param {Frame} frame
 * @param {Look} look
 */
function drawFaces(context, faces, frame, look) {
  const many = faces.length > 1;
  const boxes = faces.map((face) => boxOnCanvas(face, frame));
  const crowded = isCrowded(boxes, frame);
  const shows = (index) =>
    !many || (!crowded && (index === look.selected || boxes[index].h >= SMALLEST * frame.unit));
  if (look.heat)
    faces.forEach((face, index) => shows(index) && drawEvidence(context, face, frame, look));
  const colors = faces.map(colorOf);
  const [usual, heavy] = crowded ? [[2.6, 1.4], [5, 3]] : [[4, 2], [6, 4]];
  faces.forEach((face, index) => {
    const line = many && index === look.selected ? heavy : usual;
    if (face.box) drawBox(context, boxes[index], colors[index], frame.unit, line);
  });
  if (look.group ?? isGroup(faces)) return drawDots(context, faces, boxes, frame, look.selected);
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

Object.assign(window.emotionPage, { drawFaces });
