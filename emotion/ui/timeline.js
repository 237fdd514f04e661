// @ts-check
/**
 * Probabilities over time: a row for each class in the order of the bars. It runs once, after
 * common.js and in its scope; all times are seconds.
 *
 * @typedef {{at: number, probabilities: number[], answer: string}} Sample
 * @typedef {{x: number, y: number, width: number, height: number}} Area     in canvas pixels
 */
const GAP = 1.5; // a sample says nothing about what comes later than that

/**
 * Draw samples. Where the answer was no class they are pale; where there was none it is empty.
 * However many there are, every column of pixels is painted once, with their mean.
 * @param {CanvasRenderingContext2D} context @param {Area} area
 * @param {Sample[]} samples in the order of time @param {number} from time at the left edge
 * @param {number} to at the right edge @param {number} [until] when the last sample ended
 */
function drawRows(context, area, samples, from, to, until = to) {
  const classes = facts.labels.length;
  const columns = Math.max(1, Math.round(area.width));
  const sums = new Float32Array(columns * (classes + 2)); // each class, how many, how many sure
  samples.forEach(({ at, probabilities, answer }, index) => {
    const end = Math.min(samples[index + 1]?.at ?? until, at + GAP);
    const place = (time) => Math.round((columns * (time - from)) / (to - from));
    const last = Math.max(place(end), place(at) + 1);
    for (let column = Math.max(0, place(at)); column < Math.min(columns, last); column++) {
      const cell = column * (classes + 2);
      for (let label = 0; label < classes; label++) sums[cell + label] += probabilities[label];
      sums[cell + classes]++;
      if (kindOf({ answer }) === "sure") sums[cell + classes + 1]++;
    }
  });
  const row = area.height / classes;
  const highest = row * 0.86;
  for (let column = 0; column < columns; column++) {
    const cell = column * (classes + 2);
    const count = sums[cell + classes];
    if (!count) continue;
    context.globalAlpha = sums[cell + classes + 1] * 2 >= count ? 1 : 0.35;
    for (let label = 0; label < classes; label++) {
      const high = (sums[cell + label] / count) * highest;
      context.fillStyle = facts.colors[label];
      context.fillRect(area.x + column, area.y + row * (label + 1) - high, 1, high);
    }
  }
  context.globalAlpha = 1;
}

/** What is said most often. @param {Sample[]} samples @returns {string} */
function mostly(samples) {
  const counts = {};
  for (const sample of samples) {
    const { name } = verdict(sample);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return Object.keys(counts).sort((one, other) => counts[other] - counts[one])[0];
}

/** @param {number} seconds @returns {string} such as 1:05 */
function clockTime(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
