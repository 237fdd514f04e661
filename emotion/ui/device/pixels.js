// @ts-check
/**
 * Pictures in memory: reduced, enlarged, warped and turned to grey as OpenCV does it for the server.
 *
 * @typedef {{data: Uint8Array, width: number, height: number}} Picture  RGB, interleaved, in rows
 * @typedef {number[]} Matrix  a, b, c, d, e, f: (x, y) goes to (a x + b y + c, d x + e y + f);
 *          the centre of a pixel is an integer
 */

/**
 * Leave the opacity out.
 * @param {Uint8ClampedArray} rgba @param {number} width @param {number} height @returns {Picture}
 */
export function withoutAlpha(rgba, width, height) {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { data, width, height };
}

/** Cut a part out; its edges are integers inside the picture. @param {Picture} picture */
export function cut({ data, width }, x0, y0, x1, y1) {
  const part = new Uint8Array((x1 - x0) * (y1 - y0) * 3);
  for (let y = y0; y < y1; y++)
    part.set(data.subarray((y * width + x0) * 3, (y * width + x1) * 3), (y - y0) * (x1 - x0) * 3);
  return { data: part, width: x1 - x0, height: y1 - y0 };
}

/** Turn a picture around. @param {Picture} picture @returns {Picture} */
export function halfTurn({ data, width, height }) {
  const turned = new Uint8Array(data.length);
  for (let from = 0, to = data.length - 3; to >= 0; from += 3, to -= 3)
    for (let channel = 0; channel < 3; channel++) turned[to + channel] = data[from + channel];
  return { data: turned, width, height };
}

/** What one place of a row is mixed from. @typedef {{first: number, weights: number[]}} Taps */

/**
 * Average what each new pixel covers, with the part of a pixel that lies inside.
 * @param {number} from @param {number} to @returns {Taps[]}
 */
function areaTaps(from, to) {
  const step = from / to;
  return Array.from({ length: to }, (_, at) => {
    const [start, end] = [at * step, Math.min((at + 1) * step, from)];
    const first = Math.min(Math.floor(start + 1e-6), from - 1);
    const weights = [];
    for (let pixel = first; pixel < end - 1e-6; pixel++)
      weights.push((Math.min(pixel + 1, end) - Math.max(pixel, start)) / (end - start));
    return { first, weights: weights.length ? weights : [1] };
  });
}

/** Keys's cubic with OpenCV's parameter; four taps around a place. @param {number} part 0..1 */
function cubic(part) {
  const a = -0.75;
  const near = (x) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  const [w0, w1, w2] = [far(1 + part), near(part), near(1 - part)];
  return [w0, w1, w2, 1 - w0 - w1 - w2];
}

/** @param {number} from @param {number} to @returns {Taps[]} */
function cubicTaps(from, to) {
  return Array.from({ length: to }, (_, at) => {
    const place = ((at + 0.5) * from) / to - 0.5;
    const low = Math.floor(place);
    return { first: low - 1, weights: cubic(place - low) };
  });
}

/**
 * Resize by mixing along rows, then along columns; beyond the borders their pixels go on.
 * @param {Picture} picture @param {Taps[]} across @param {Taps[]} down
 */
function mixed({ data, width, height }, across, down) {
  const [columns, rows] = [across.length, down.length];
  const middle = new Float32Array(columns * height * 3);
  const inside = (at, size) => (at < 0 ? 0 : at >= size ? size - 1 : at);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < columns; x++) {
      const { first, weights } = across[x];
      const to = (y * columns + x) * 3;
      for (let tap = 0; tap < weights.length; tap++) {
        const at = (y * width + inside(first + tap, width)) * 3;
        const weight = weights[tap];
        middle[to] += weight * data[at];
        middle[to + 1] += weight * data[at + 1];
        middle[to + 2] += weight * data[at + 2];
      }
    }
  const result = new Float32Array(columns * rows * 3);
  const length = columns * 3;
  for (let y = 0; y < rows; y++) {
    const { first, weights } = down[y];
    for (let tap = 0; tap < weights.length; tap++) {
      const from = inside(first + tap, height) * length;
      const weight = weights[tap];
      for (let x = 0; x < length; x++) result[y * length + x] += weight * middle[from + x];
    }
  }
  return result;
}

/** @param {Float32Array} values @returns {Uint8Array} rounded to 0..255 */
const rounded = (values) => Uint8Array.from(Uint8ClampedArray.from(values));

/**
 * Resize a picture: averaged where it shrinks, cubic where it grows.
 * @param {Picture} picture @param {number} width @param {number} height @returns {Picture}
 */
export function resize(picture, width, height) {
  if (picture.width === width && picture.height === height) return picture;
  const shrinks = width < picture.width || height < picture.height;
  const taps = shrinks ? areaTaps : cubicTaps;
  const values = mixed(picture, taps(picture.width, width), taps(picture.height, height));
  return { data: rounded(values), width, height };
}

/** Resize by averaging, whatever the size. @param {Picture} picture */
export function averaged(picture, width, height) {
  const values = mixed(picture, areaTaps(picture.width, width), areaTaps(picture.height, height));
  return { data: rounded(values), width, height };
}

/** @param {Matrix} matrix @returns {Matrix} */
export function invert([a, b, c, d, e, f]) {
  const determinant = a * e - b * d;
  const [ia, ib, id, ie] = [e, -b, -d, a].map((value) => value / determinant);
  return [ia, ib, -(ia * c + ib * f), id, ie, -(id * c + ie * f)];
}

/** Where a place beyond a border is found when the picture mirrors itself there. */
function reflected(at, size) {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const inside = ((at % period) + period) % period;
  return inside < size ? inside : period - inside;
}

/**
 * Cut a square crop and turn it to grey, anti-aliased when it shrinks.
 * @param {Picture} picture @param {Matrix} matrix picture to crop pixels @param {number} size
 * @returns {Uint8Array} (size, size); what lies outside the picture mirrors it
 */
export function greyCrop(picture, matrix, size) {
  const scale = Math.sqrt(Math.abs(matrix[0] * matrix[4] - matrix[1] * matrix[3]));
  if (scale < 0.5) [picture, matrix] = reduced(picture, matrix, scale, size);
  const { data, width, height } = picture;
  const [a, b, c, d, e, f] = invert(matrix);
  const taps = scale > 1 ? 4 : 2;
  const before = taps / 2 - 1;
  const grey = new Uint8Array(size * size);
  const sums = [0, 0, 0];
  for (let v = 0; v < size; v++)
    for (let u = 0; u < size; u++) {
      const [x, y] = [a * u + b * v + c, d * u + e * v + f];
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const across = taps === 4 ? cubic(x - left) : [1 - x + left, x - left];
      const down = taps === 4 ? cubic(y - top) : [1 - y + top, y - top];
      sums.fill(0);
      for (let j = 0; j < taps; j++) {
        const row = reflected(top - before + j, height) * width;
        for (let i = 0; i < taps; i++) {
          const at = (row + reflected(left - before + i, width)) * 3;
          const weight = across[i] * down[j];
          sums[0] += weight * data[at];
          sums[1] += weight * data[at + 1];
          sums[2] += weight * data[at + 2];
        }
      }
      const [red, green, blue] = sums.map((value) => Math.min(255, Math.max(0, Math.round(value))));
      grey[v * size + u] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    }
  return grey;
}

/**
 * Cut out what the crop needs and average it down so that one bilinear tap is enough.
 * @param {Picture} picture @param {Matrix} matrix @param {number} scale @param {number} size
 * @returns {[Picture, Matrix]}
 */
function reduced(picture, matrix, scale, size) {
  const factor = Math.max(1, Math.floor(1 / scale));
  const [a, b, c, d, e, f] = invert(matrix);
  const corners = [[0, 0], [size, 0], [0, size], [size, size]];
  const xs = corners.map(([u, v]) => a * u + b * v + c);
  const ys = corners.map(([u, v]) => d * u + e * v + f);
  const { width, height } = picture;
  const within = (value, low, high) => Math.min(high, Math.max(low, value));
  const margin = 2 * factor;
  const x0 = within(Math.floor(Math.min(...xs)) - margin, 0, width - 1);
  const y0 = within(Math.floor(Math.min(...ys)) - margin, 0, height - 1);
  const x1 = within(Math.ceil(Math.max(...xs)) + margin, x0 + 1, width);
  const y1 = within(Math.ceil(Math.max(...ys)) + margin, y0 + 1, height);
  const part = cut(picture, x0, y0, x1, y1);
  const columns = Math.max(1, Math.round(part.width / factor));
  const rows = Math.max(1, Math.round(part.height / factor));
  const [stepX, stepY] = [part.width / columns, part.height / rows];
  // picture = (small + 0.5) * step - 0.5 + origin, composed with the given matrix.
  const [offX, offY] = [0.5 * stepX - 0.5 + x0, 0.5 * stepY - 0.5 + y0];
  const [ma, mb, mc, md, me, mf] = matrix;
  return [
    averaged(part, columns, rows),
    [ma * stepX, mb * stepY, ma * offX + mb * offY + mc, md * stepX, me * stepY, md * offX + me * offY + mf],
  ];
}
