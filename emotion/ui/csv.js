// @ts-check
/** Tables as text, one way for all of them. It runs once, after common.js and in its scope. */

/**
 * A cell, quoted where it has to be. A spreadsheet must not take what visitors wrote, or how they
 * named a file, for a formula.
 * @param {string | number} cell
 */
function csvCell(cell) {
  const text = String(cell);
  const formula = /^[=+\-@\t\r]./s.test(text) && Number.isNaN(Number(text));
  const safe = formula ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {(string | number)[][]} lines @returns {Blob} the file */
const csvFile = (lines) =>
  new Blob([lines.map((cells) => `${cells.map(csvCell).join(",")}\n`).join("")], { type: "text/csv" });

Object.assign(window.emotionPage, { csvFile });
