// @ts-check
/**
 * Evidence on faces, drawn in one of two ways: as a spotlight, which leaves what spoke for the class
 * in colour and the rest dim and grey, or as heat in false colours.
 * It runs once, after common.js and in its scope.
 */
const mix = (from, to, weight) => from + weight * (to - from);

// Anchors of an inferno-like ramp: dark, violet, red, orange, yellow; lightness rises evenly.
const RAMP = [
  [6, 3, 20], [60, 12, 95], [120, 28, 109], [178, 50, 90], [226, 89, 51], [250, 150, 20],
  [252, 214, 75], [252, 252, 180],
];

const EDGE = 4; // px of the map's side over which it fades out, so that no cut edge shows on the face

// Colour and opacity for each of 256 values, worked out once: a map has 4096 pixels, 25 times a
// second. The weaker the evidence, the more transparent.
const HEAT_COLORS = Array.from({ length: 256 }, (_, value) => {
  const at = (Math.min(value, 254.9) / 255) * (RAMP.length - 1);
  const low = Math.floor(at);
  return [...RAMP[low].map((channel, i) => mix(channel, RAMP[low + 1][i], at - low)), value];
});

const HEAT_SIDE = 64;
// The two cells around each pixel and the second one's weight; cell centres lie at (i + 0.5) / 8.
// Bilinear on purpose: a cubic would ring and paint evidence where there is none.
const TAPS = Array.from({ length: HEAT_SIDE }, (_, pixel) => {
  const position = Math.min(7, Math.max(0, ((pixel + 0.5) * 8) / HEAT_SIDE - 0.5));
  const cell = Math.min(6, Math.floor(position));
  const fade = Math.min(1, (Math.min(pixel, HEAT_SIDE - 1 - pixel) + 1) / EDGE);
  return { cell, weight: position - cell, fade };
});

const LINES = facts.lines; // where the spotlight has its lines, as parts of the strongest evidence
const LIT_SIDE = 160; // px of the spotlight's own picture of a face
const DARK = "rgba(12, 12, 16, 0.62)";

/** Enlarge an 8x8 map to HEAT_SIDE, values 0..255. @param {Heat} heat */
function enlarge({ cells }) {
  if (cells.length !== 64) throw new RangeError(`A map of ${cells.length} cells has no place.`);
  const values = new Float32Array(HEAT_SIDE * HEAT_SIDE);
  TAPS.forEach(({ cell: row, weight: down }, y) =>
    TAPS.forEach(({ cell: column, weight: right }, x) => {
      const at = row * 8 + column;
      const upper = mix(cells[at], cells[at + 1], right);
      const lower = mix(cells[at + 8], cells[at + 9], right);
      values[y * HEAT_SIDE + x] = mix(upper, lower, down);
    }),
  );
  return values;
}

/** Make a picture of a map. @param {Float32Array} values @param {(value: number) => number[]} color */
function paint(values, color) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = HEAT_SIDE;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(HEAT_SIDE, HEAT_SIDE);
  values.forEach((value, at) => picture.data.set(color(value), at * 4));
  TAPS.forEach(({ fade: down }, y) =>
    TAPS.forEach(({ fade: right }, x) => {
      picture.data[(y * HEAT_SIDE + x) * 4 + 3] *= down * right;
    }),
  );
  context.putImageData(picture, 0, 0);
  return canvas;
}

const heatPicture = (values) => paint(values, (value) => HEAT_COLORS[Math.round(value)]);

/** White where the light falls: all of it inside the first line, none outside the second. */
function lightPicture(values) {
  const [full, none] = LINES.map((part) => part * 255);
  return paint(values, (value) => {
    const lit = Math.min(1, Math.max(0, (value - none) / (full - none)));
    return [255, 255, 255, 255 * lit];
  });
}

/**
 * Line of equal evidence by marching squares, in fractions of the crop.
 * @param {Float32Array} values @param {number} level 0..255
 */
function contour(values, level) {
  const path = new Path2D();
  const at = (x, y) => values[y * HEAT_SIDE + x];
  /** @param {number[]} from @param {number[]} to @returns {[number, number][]} */
  const cross = ([x0, y0], [x1, y1]) => {
    const [from, to] = [at(x0, y0), at(x1, y1)];
    if (from >= level === to >= level) return [];
    const part = (level - from) / (to - from);
    return [[(mix(x0, x1, part) + 0.5) / HEAT_SIDE, (mix(y0, y1, part) + 0.5) / HEAT_SIDE]];
  };
  for (let y = 0; y < HEAT_SIDE - 1; y++)
    for (let x = 0; x < HEAT_SIDE - 1; x++) {
      // Most squares are on one side of the line; looking first saves making anything for them.
      const inside = at(x, y) >= level;
      const same = (right, down) => at(x + right, y + down) >= level === inside;
      if (same(1, 0) && same(0, 1) && same(1, 1)) continue;
      const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const ends = corners.flatMap((corner, side) => cross(corner, corners[(side + 1) % 4]));
      for (let end = 0; end < ends.length; end += 2) {
        path.moveTo(...ends[end]);
        path.lineTo(...ends[end + 1]);
      }
    }
  return path;
}

/**
 * The face without its light: grey and dim, a hole where the evidence is, soft at the rim.
 * @param {Shown} face @param {Float32Array} values @param {CanvasImageSource} source
 */
function darkness(face, values, source) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = LIT_SIDE;
  const context = canvas.getContext("2d");
  /** @type {[number, number, number, number]} */
  const all = [0, 0, LIT_SIDE, LIT_SIDE];
  context.save();
  context.scale(LIT_SIDE, LIT_SIDE);
  const { a, b, c, d, e, f } = new DOMMatrix(face.place).inverse();
  context.transform(a, b, c, d, e, f);
  context.drawImage(source, 0, 0, 1, 1);
  context.restore();
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#000";
  context.fillRect(...all);
  context.globalCompositeOperation = "source-over";
  context.fillStyle = DARK;
  context.fillRect(...all);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(lightPicture(values), ...all);
  context.globalCompositeOperation = "destination-in";
  const half = LIT_SIDE / 2;
  const rim = context.createRadialGradient(half, half, 0.84 * half, half, half, half);
  rim.addColorStop(0, "#000");
  rim.addColorStop(1, "transparent");
  context.fillStyle = rim;
  context.fillRect(...all);
  return canvas;
}

/**
 * Draw the evidence of one face.
 * @param {CanvasRenderingContext2D} context @param {Shown} face @param {Frame} frame
 * @param {Look} look
 */
function drawEvidence(context, face, frame, look) {
  const [a, b, c, d, e, f] = face.place;
  const { width, height } = frame;
  const values = enlarge(face.heat);
  context.save();
  if (frame.mirrored) context.transform(-1, 0, 0, 1, width, 0);
  if (face.box && !look.spotlight) clipToFace(context, face, frame);
  context.transform(a * width, b * height, c * width, d * height, e * width, f * height);
  context.imageSmoothingQuality = "high";
  context.globalAlpha = look.opacity;
  if (look.spotlight) {
    context.drawImage(darkness(face, values, look.source), 0, 0, 1, 1);
    drawLines(context, values, frame.unit / Math.hypot(a * width, b * height));
  } else context.drawImage(heatPicture(values), 0, 0, 1, 1);
  context.restore();
}

function drawLines(context, values, unit) {
  context.globalAlpha = 1;
  LINES.forEach((part, index) => {
    const path = contour(values, part * 255);
    const stroke = (color, width) => {
      context.strokeStyle = color;
      context.lineWidth = width * unit;
      context.stroke(path);
    };
    const width = index ? 0.8 : 1.8;
    stroke("rgba(15, 16, 19, 0.5)", width + 1.6);
    stroke("#fff", width);
  });
}

function clipToFace(context, face, frame) {
  const { x, y, w, h } = boxOnCanvas(face, { ...frame, mirrored: false });
  context.beginPath();
  context.ellipse(x + w / 2, y + h / 2, w / 2, h / 2, 0, 0, 7);
  context.clip();
}

Object.assign(window.emotionPage, { drawEvidence });
