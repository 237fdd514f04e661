// @ts-check
/**
 * From feature maps to what is said: linear layer, evidence, calibration and calm.
 *
 * @typedef {{probabilities: Float32Array, cams: Float32Array, calm: number | null}} Classified
 *          cams: (6, 8, 8)
 */

/** @param {ArrayLike<number>} logits @returns {Float32Array} */
export function softmax(logits) {
  const values = Array.from(logits);
  const highest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return Float32Array.from(powers, (power) => power / sum);
}

/** @param {ArrayLike<number>} one @param {ArrayLike<number>} other */
function dot(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}

/**
 * Answer from the feature maps of one face.
 * @param {Float32Array} features (K, h, w) @param {Record<string, any>} network of the numbers
 * @returns {Classified}
 */
export function readOut(features, network) {
  const { weight, bias, calm, calibration, rows, columns } = network;
  const [height, width] = [rows[0].length, columns[0].length];
  const cells = height * width;
  const pooled = new Float32Array(features.length / cells);
  for (let k = 0; k < pooled.length; k++) {
    let sum = 0;
    for (let cell = 0; cell < cells; cell++) sum += features[k * cells + cell];
    pooled[k] = sum / cells;
  }
  const logits = weight.map((row, index) => dot(row, pooled) + bias[index]);
  return {
    probabilities: calibrated(logits, pooled, calibration),
    cams: evidence(features, weight, rows, columns),
    calm: calm ? 1 / (1 + Math.exp(-(dot(calm.weight, pooled) + calm.bias - calm.bound) / calm.temperature)) : null,
  };
}

/** Offsets of the classes, then the face's own temperature. */
function calibrated(logits, pooled, { typical, slope, offset, classOffsets, most }) {
  const bound = Math.log(most);
  const exponent = slope.length ? dot(slope, pooled) - offset : 0;
  const temperature = typical * Math.exp(Math.min(bound, Math.max(-bound, exponent)));
  return softmax(logits.map((logit, at) => (logit + (classOffsets[at] ?? 0)) / temperature));
}

/**
 * Grad-CAM of every class in closed form, on the grid that everything draws.
 * @param {Float32Array} features @param {number[][]} weight (6, K)
 * @param {number[][]} rows (8, h) @param {number[][]} columns (8, w)
 */
function evidence(features, weight, rows, columns) {
  const [grid, height, width] = [rows.length, rows[0].length, columns[0].length];
  const cells = height * width;
  const result = new Float32Array(weight.length * grid * grid);
  weight.forEach((row, index) => {
    const own = new Float32Array(cells);
    for (let k = 0; k < row.length; k++)
      for (let cell = 0; cell < cells; cell++) own[cell] += row[k] * features[k * cells + cell];
    for (let cell = 0; cell < cells; cell++) own[cell] = Math.max(0, own[cell]) / cells;
    for (let i = 0; i < grid; i++)
      for (let j = 0; j < grid; j++) {
        let sum = 0;
        for (let y = 0; y < height; y++)
          if (rows[i][y]) for (let x = 0; x < width; x++) sum += rows[i][y] * columns[j][x] * own[y * width + x];
        result[(index * grid + i) * grid + j] = sum;
      }
  });
  return result;
}
