// @ts-check
/**
 * A recording drawn: the timeline of a face with its pauses and markers, and the picture of all
 * faces to save. It runs once, after session.js and in its scope.
 */
const PICTURE_WIDTH = 1600; // px
const PICTURE_EDGE = 60;
const PICTURE_NAMES = 170; // for the names of the rows
const PICTURE_ROW = 34;
const PICTURE_INK = "#1d1c1a";
const PICTURE_FONT = "system-ui, sans-serif";

/**
 * Draw the timeline of a face over the whole recording, however long that is by now.
 * @param {CanvasRenderingContext2D} context @param {Area} area
 * @param {Session} session @param {number} face
 * @param {{unit: number, ink: string}} style     unit: canvas pixels per pixel as seen
 */
function drawSession(context, area, session, face, { unit, ink }) {
  const to = Math.max(session.length, SHORTEST_SPAN);
  const place = (at) => area.x + Math.round((area.width * at) / to);
  const row = area.height / facts.labels.length;
  context.fillStyle = ink;
  context.globalAlpha = 0.16;
  for (let label = 1; label <= facts.labels.length; label++)
    context.fillRect(area.x, area.y + row * label - unit, area.width, unit);
  context.globalAlpha = 1;
  drawRows(context, area, session.rowsOf(face), 0, to, session.length);
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = unit;
  context.setLineDash([3 * unit, 3 * unit]);
  for (const at of session.breaks) drawUpright(context, place(at), area);
  context.setLineDash([]);
  context.lineWidth = 1.5 * unit;
  context.font = `600 ${12 * unit}px ${PICTURE_FONT}`;
  context.textBaseline = "top";
  session.markers.forEach(({ at }, index) => {
    drawUpright(context, place(at), area);
    const words = String(index + 1);
    const beside = Math.min(place(at) + 4 * unit, area.x + area.width - 9 * unit * words.length);
    context.fillText(words, beside, area.y + unit);
  });
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {Area} area */
function drawUpright(context, x, { y, height }) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x, y + height);
  context.stroke();
}

/** @param {Session} session @returns {HTMLCanvasElement} all faces and markers, to be saved */
function sessionPicture(session) {
  const { faces, markers } = session;
  const block = facts.labels.length * PICTURE_ROW + 90;
  const canvas = document.createElement("canvas");
  canvas.width = PICTURE_WIDTH;
  canvas.height = 130 + Math.max(1, faces.length) * block + markers.length * 32 + PICTURE_EDGE;
  const context = canvas.getContext("2d");
  const write = (words, x, y, font) => {
    context.fillStyle = PICTURE_INK;
    context.font = `${font} ${PICTURE_FONT}`;
    context.textBaseline = "alphabetic";
    context.fillText(words, x, y);
  };
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(say("session_title"), PICTURE_EDGE, 78, "700 34px");
  const begun = new Date(session.begun).toLocaleString(language, { dateStyle: "long", timeStyle: "short" });
  write(`${begun} · ${clockTime(session.length)}`, PICTURE_EDGE, 112, "400 20px");
  const left = PICTURE_EDGE + PICTURE_NAMES;
  const width = PICTURE_WIDTH - PICTURE_EDGE - left;
  let y = 130;
  for (const face of faces) {
    write(say("face_n", { n: face }), PICTURE_EDGE, y + 36, "650 22px");
    const area = { x: left, y: y + 50, width, height: facts.labels.length * PICTURE_ROW };
    facts.labels.forEach((_, label) =>
      write(nameOf(label), PICTURE_EDGE, area.y + PICTURE_ROW * (label + 0.72), "400 19px"),
    );
    drawSession(context, area, session, face, { unit: 1.4, ink: PICTURE_INK });
    write("0:00", left, area.y + area.height + 24, "400 17px");
    const end = clockTime(Math.max(session.length, SHORTEST_SPAN));
    write(end, left + width - context.measureText(end).width, area.y + area.height + 24, "400 17px");
    y += block;
  }
  markers.forEach(({ at, note }, index) =>
    write(`${index + 1} · ${clockTime(at)} · ${note}`, left, y + 36 + index * 32, "400 19px"),
  );
  return canvas;
}
