// @ts-check
/**
 * Several people in one picture: their order, who makes a group, the sentence about all of them, and
 * the dots that number them where chips would pile up. It runs once, after common.js.
 */
const GROUP = 4; // faces from which on words over each of them would hide the others
const CROWD = 12; // faces from which on the numbers themselves must be smaller
const CROWDED = 40; // CSS px of their usual height below which numbers would hide more than they tell
const ROW = 0.7; // of a face's height: how far below the others of its row it may lie

/** @param {unknown[]} faces */
const isGroup = (faces) => faces.length >= GROUP;

/**
 * Order faces as one reads: row by row, each from left to right as seen.
 * @template {{box: number[] | null}} T
 * @param {T[]} faces @param {boolean} [mirrored]
 * @returns {T[]}
 */
function inReadingOrder(faces, mirrored = false) {
  const frame = { width: 1, height: 1, mirrored };
  const place = new Map(faces.map((face) => [face, boxOnCanvas(face, frame)]));
  const middle = (face) => place.get(face).y + place.get(face).h / 2;
  const gap = ROW * usualHeight([...place.values()]);
  /** @type {T[][]} */
  const rows = [];
  for (const face of [...faces].sort((one, other) => middle(one) - middle(other))) {
    const row = rows.at(-1);
    const mean = row && row.reduce((sum, one) => sum + middle(one), 0) / row.length;
    if (row && middle(face) - mean < gap) row.push(face);
    else rows.push([face]);
  }
  return rows.flatMap((row) => row.sort((one, other) => place.get(one).x - place.get(other).x));
}

/** The middle one of the heights of some boxes, or 0. @param {{h: number}[]} boxes */
const usualHeight = (boxes) =>
  boxes.map(({ h }) => h).sort((one, other) => one - other)[boxes.length >> 1] ?? 0;

/** Whether only the chosen face gets a number. @param {{h: number}[]} boxes @param {Frame} frame */
const isCrowded = (boxes, { unit }) =>
  boxes.length >= GROUP && usualHeight(boxes) < CROWDED * unit;

/**
 * "15 faces: 11 happiness, 1 disgust, 3 not sure".
 * @param {{answer: string}[]} faces @param {number} count of faces found, which may be more
 */
function groupSummary(faces, count) {
  const keys = [...facts.labels, facts.calm, facts.notSure];
  const parts = keys.flatMap((answer, index) => {
    const number = faces.filter((face) => face.answer === answer).length;
    const key = facts.labels[index] ?? (answer === facts.calm ? "calm" : "not_sure");
    return number ? [say(`group_${key}`, { count: number })] : [];
  });
  const values = { count, shown: faces.length, parts: parts.join(", ") };
  return say(count > faces.length ? "group_of_more" : "group", values);
}

/**
 * Number faces: a dot where each one's box begins, a line to its number, which covers nobody. In a
 * crowd of small faces the strip of thumbnails tells who is who, and the chosen one has a number.
 * @param {CanvasRenderingContext2D} context @param {Face[]} faces @param {Frame} frame
 */
function drawDots(context, faces, boxes, frame, selected) {
  const { unit } = frame;
  const radius = (faces.length > CROWD ? 9.5 : 12) * unit;
  const numbered = isCrowded(boxes, frame) ? [selected] : [...boxes.keys()];
  const places = placeNumbers(boxes, numbered.filter((index) => boxes[index]), radius, frame);
  places.forEach((place, index) => {
    const { x, y, w, h } = boxes[index];
    const end = {
      x: Math.min(Math.max(place.x, x), x + w),
      y: Math.min(Math.max(place.y, y), y + h),
    };
    for (const [color, width] of /** @type {[string, number][]} */ ([[DARK_CHIP, 4], ["#fff", 1.6]])) {
      context.strokeStyle = color;
      context.lineWidth = width * unit;
      context.beginPath();
      context.moveTo(end.x, end.y);
      context.lineTo(place.x, place.y);
      context.stroke();
    }
    disc(context, end, 4 * unit, "#fff");
    disc(context, end, 2.6 * unit, colorOf(faces[index]));
  });
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `650 ${radius}px system-ui, sans-serif`;
  places.forEach((place, index) => {
    const chosen = index === selected;
    disc(context, place, radius, colorOf(faces[index]));
    disc(context, place, radius - 2.2 * unit, chosen ? "#fff" : "#16171a");
    context.fillStyle = chosen ? "#16171a" : "#fff";
    context.fillText(String(faces[index].number), place.x, place.y + 0.5 * unit);
  });
  context.textAlign = "start";
}

function disc(context, { x, y }, radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
}

/** Find a place for some boxes' numbers: near the box, over no face and no other number. */
function placeNumbers(boxes, numbered, radius, { width, height }) {
  const around = (place) => ({
    x: place.x - radius, y: place.y - radius, w: 2 * radius, h: 2 * radius,
  });
  const taken = [...boxes];
  return new Map(numbered.map((index) => {
    const box = boxes[index];
    const fits = (place) => {
      const own = around(place);
      const inside = own.x >= 0 && own.y >= 0 && own.x + own.w <= width && own.y + own.h <= height;
      return inside && !taken.some((other) => overlaps(own, other));
    };
    const place = spots(box, radius).find(fits) ?? { x: box.x + radius, y: box.y + radius };
    taken.push(around(place));
    return [index, place];
  }));
}

/** Where the number of a box may stand, the best place first. */
function spots({ x, y, w, h }, radius) {
  const directions = [[0, -1], [-0.7, -1], [0.7, -1], [-1, 0], [1, 0], [-0.7, 1], [0.7, 1], [0, 1]];
  return [1.8, 2.8, 4.2].flatMap((far) =>
    directions.map(([right, down]) => ({
      x: x + w / 2 + right * (w / 2 + far * radius),
      y: y + h / 2 + down * (h / 2 + far * radius),
    })),
  );
}
