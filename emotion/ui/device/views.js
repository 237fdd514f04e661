// @ts-check
/** What the network sees of a crop; and the mean of what it says, see ``emotion/classifier.py``. */
export const STRAIGHT = 1;
export const MIRRORED = 2;
export const BOTH = STRAIGHT | MIRRORED;

/**
 * Mirror pictures or maps whose rows are that wide.
 * @template {Uint8Array | Float32Array} T @param {T} values @param {number} width @returns {T}
 */
function mirrored(values, width) {
  const result = /** @type {T} */ (values.slice());
  for (let start = 0; start < result.length; start += width)
    result.subarray(start, start + width).reverse();
  return result;
}

/**
 * Compute the feature maps that are answered from.
 * @param {(crops: Uint8Array, count: number) => Promise<Float32Array>} run crops (count, side, side)
 *        to feature maps (count, K, h, w) @param {Uint8Array[]} crops @param {number[]} views of each
 * @param {number} side of a crop @param {number} width of a map
 * @returns {Promise<Float32Array[]>} (K, h, w) of each crop
 */
export async function evidence(run, crops, views, side, width) {
  const shown = crops.flatMap((crop, at) => [
    ...(views[at] & STRAIGHT ? [{ at, pixels: crop, turned: false }] : []),
    ...(views[at] & MIRRORED ? [{ at, pixels: mirrored(crop, side), turned: true }] : []),
  ]);
  const together = new Uint8Array(shown.length * side * side);
  shown.forEach(({ pixels }, index) => together.set(pixels, index * side * side));
  const maps = await run(together, shown.length);
  const each = maps.length / shown.length;
  /** @type {Float32Array[]} */
  const result = [];
  shown.forEach(({ at, turned }, index) => {
    const own = maps.subarray(index * each, (index + 1) * each);
    const straight = turned ? mirrored(own, width) : own;
    const other = result[at];
    result[at] = other ? other.map((value, cell) => (value + straight[cell]) / 2) : straight;
  });
  return result;
}
