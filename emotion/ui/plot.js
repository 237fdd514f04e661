// @ts-check
/**
 * How one face looked over time: six curves, and below them a band, what people are told. It runs
 * once, after footage.js and in its scope.
 */
const BAND = 14; // CSS px
const AXIS = 20;
const BROKEN_AFTER = 0.5; // s without the face from which on a curve is broken
const TICKS = [0.5, 1, 2, 5, 10, 15, 30, 60];

/**
 * @param {HTMLCanvasElement} canvas @param {Footage} clip @param {number} chosen number of the face
 * @param {number} now where the clip stands
 */
function drawPlot(canvas, clip, chosen, now) {
  const unit = window.devicePixelRatio || 1;
  const width = (canvas.width = Math.round(canvas.clientWidth * unit));
  const height = (canvas.height = Math.round(canvas.clientHeight * unit));
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const curves = height - (BAND + AXIS + 8) * unit;
  const x = (time) => (width * time) / (clip.length || 1);
  const y = (probability) => 2 * unit + (curves - 4 * unit) * (1 - probability);
  const ink = { line: style.getPropertyValue("--em-line"), quiet: style.getPropertyValue("--em-quiet") };
  drawAxis(context, { unit, width, height, curves, x, y, ink, length: clip.length });
  const seen = clip.people.get(chosen) ?? [];
  for (const [index, color] of facts.colors.entries()) {
    context.strokeStyle = color;
    context.lineWidth = 2 * unit;
    context.lineJoin = "round";
    context.beginPath();
    seen.forEach(({ time, face }, at) => {
      const broken = !at || time - seen[at - 1].time > BROKEN_AFTER;
      context[broken ? "moveTo" : "lineTo"](x(time), y(face.probabilities[index]));
    });
    context.stroke();
  }
  seen.forEach(({ time, face }, at) => {
    const next = seen[at + 1]?.time ?? time;
    const until = next - time > BROKEN_AFTER ? time + 0.1 : next;
    context.fillStyle = kindOf(face) === "calm" ? ink.line : colorOf(face);
    const left = Math.floor(x(time)); // whole pixels, so that no gaps show between frames
    context.fillRect(left, curves + 6 * unit, Math.ceil(x(until)) - left, BAND * unit);
  });
  context.fillStyle = style.color;
  context.fillRect(x(now) - unit, 0, 2 * unit, curves + (BAND + 8) * unit);
}

function drawAxis(context, { unit, width, height, curves, x, y, ink, length }) {
  context.fillStyle = ink.line;
  for (const level of [0, 0.5, 1]) context.fillRect(0, y(level), width, unit);
  const step = TICKS.find((one) => length / one <= width / unit / 70) ?? 60;
  context.font = `${12 * unit}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  for (let time = 0; time <= length + 1e-6; time += step) {
    context.fillStyle = ink.line;
    context.fillRect(x(time), 0, unit, curves + (BAND + 8) * unit);
    const words = clockOf(time);
    const wide = context.measureText(words).width;
    context.fillStyle = ink.quiet;
    context.fillText(words, Math.max(0, Math.min(width - wide, x(time) - wide / 2)), height);
  }
}

/** @param {number} time in seconds */
function clockOf(time) {
  const [minutes, seconds] = [Math.floor(time / 60), time % 60];
  const rest = Number.isInteger(seconds) ? String(seconds).padStart(2, "0") : seconds.toFixed(1).padStart(4, "0");
  return `${minutes}:${rest}`;
}

Object.assign(window.emotionPage, { drawPlot, clockOf });
