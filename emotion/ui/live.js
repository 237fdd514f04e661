// @ts-check
/**
 * The Live tab. Gradio runs this with `element` (the component) and `server` (our functions).
 *
 * One frame is under way at a time: capture, send, wait for the answer, draw, repeat. So a slow
 * server gives fewer answers, never a growing delay. The video itself runs at the camera's rate.
 */
const {
  say, translate, strongest, percent, nameOf, fillBars, drawFaces,
  cameraProblem, openCamera, closeCamera, looksAtVisitor, download,
} = window.emotionPage;

const SENT_WIDTH = 320;
const SENT_QUALITY = 0.75;
const SHORTEST_GAP = 40; // ms between two frames: at most 25 answers a second
const ANSWER_TIMEOUT = 8000;
const ANNOUNCE_EVERY = 2000;
const NOTE_AFTER = 1200; // ms without an answer or a face before a sentence says so

const find = (selector) => element.querySelector(selector);
const section = find(".em-live");
const stage = find(".em-stage");
const video = find("video");
const canvas = find("canvas");
const targets = find(".em-targets");
const note = find(".em-note");
const announcer = find("[data-announce]");
const capture = document.createElement("canvas");

const view = {
  run: 0, // number of the current start; an older loop sees that it is over
  stream: null,
  mirrored: true,
  frozen: false,
  settled: false, // the frozen frame has its answer
  faces: [],
  selected: 0,
  anchor: null, // centre of the selected face
  explain: -1,
  look: { heat: true, opacity: 0.75, selected: 0 },
  lastAnswer: 0,
  lastFace: 0,
  announced: 0,
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function setState(state) {
  section.dataset.state = state;
  for (const action of ["freeze", "save", "switch"])
    find(`[data-do=${action}]`).disabled = state === "starting";
  const pressed = find("[data-do=freeze]");
  pressed.setAttribute("aria-pressed", String(view.frozen));
  pressed.querySelector("[data-text]").textContent = say(view.frozen ? "unfreeze" : "freeze");
}

function showNote(sentence) {
  if (note.textContent !== sentence) note.textContent = sentence;
  note.hidden = !sentence;
}

async function start(choice = { facingMode: { ideal: "user" } }) {
  release();
  const { run } = view;
  setState("starting");
  showNote(say("starting"));
  let stream = null;
  try {
    stream = await openCamera(video, choice);
  } catch (error) {
    if (run !== view.run) return;
    setState("idle");
    showNote(say(cameraProblem(error)));
    return;
  }
  if (run !== view.run) return closeCamera(stream);
  view.stream = stream;
  view.mirrored = looksAtVisitor(stream);
  video.classList.toggle("em-mirrored", view.mirrored);
  stream.getVideoTracks()[0].addEventListener("ended", () => {
    if (run === view.run) stop("camera_lost");
  });
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter((device) => device.kind === "videoinput").length;
  find("[data-do=switch]").hidden = cameras < 2;
  setState("running");
  showNote(say("waiting"));
  view.lastAnswer = view.lastFace = performance.now();
  loop(run);
}

/** End the current run, if any: its loop sees that it is over, its camera goes off. */
function release() {
  view.run++;
  closeCamera(view.stream);
  Object.assign(view, { stream: null, frozen: false, settled: false, anchor: null });
  video.srcObject = null;
  show([]);
}

function stop(reason = "") {
  const focused = section.dataset.state !== "idle" && section.contains(document.activeElement);
  release();
  setState("idle");
  showNote(reason && say(reason));
  if (focused) find("[data-do=start]").focus();
}

async function switchCamera() {
  const track = view.stream.getVideoTracks()[0].getSettings();
  if (track.facingMode) {
    const other = track.facingMode === "environment" ? "user" : "environment";
    return start({ facingMode: { ideal: other } });
  }
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter((device) => device.kind === "videoinput");
  const next = (cameras.findIndex((c) => c.deviceId === track.deviceId) + 1) % cameras.length;
  return start({ deviceId: { exact: cameras[next].deviceId } });
}

async function loop(run) {
  while (run === view.run) {
    if (!element.isConnected || !section.offsetParent) return stop();
    if (document.hidden || (view.frozen && view.settled)) {
      await sleep(100);
      view.lastAnswer = view.lastFace = performance.now();
      continue;
    }
    const began = performance.now();
    const { frozen, explain } = view;
    const answer = await ask();
    if (run !== view.run) return;
    const pause = accept(answer);
    view.settled = frozen && explain === view.explain && !pause;
    await sleep(Math.max(pause, SHORTEST_GAP - (performance.now() - began), 0));
  }
}

/** Send the picture of this moment. @returns {Promise<object | undefined>} undefined: no answer */
async function ask() {
  capture.width = SENT_WIDTH;
  capture.height = Math.round((SENT_WIDTH * video.videoHeight) / video.videoWidth);
  capture.getContext("2d").drawImage(video, 0, 0, capture.width, capture.height);
  const jpeg = capture.toDataURL("image/jpeg", SENT_QUALITY);
  try {
    const answer = server.analyze_frame({ jpeg, explain: view.explain });
    return (await Promise.race([answer, sleep(ANSWER_TIMEOUT)])) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Show an answer. @returns {number} how long to wait before the next frame, in ms */
function accept(answer) {
  const now = performance.now();
  if (answer?.faces) {
    view.lastAnswer = now;
    if (answer.faces.length) view.lastFace = now;
    show(answer.faces);
    const { length: shown } = answer.faces;
    if (answer.count > shown) showNote(say("live_many", { count: answer.count, shown }));
    else if (shown) showNote("");
    else if (now - view.lastFace > NOTE_AFTER) showNote(say("live_no_face"));
    return 0;
  }
  if (answer?.busy) {
    if (now - view.lastAnswer > NOTE_AFTER) showNote(say("live_busy"));
    return 60 + 120 * Math.random();
  }
  show([]);
  showNote(say(answer?.error ?? "live_unreachable"));
  return 1000;
}

function show(faces) {
  view.faces = faces;
  const centres = faces.map(({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
  const distances = centres.map(([x, y]) =>
    view.anchor ? Math.hypot(x - view.anchor[0], y - view.anchor[1]) : 0,
  );
  select(faces.length ? distances.indexOf(Math.min(...distances)) : 0);
}

function select(index) {
  const face = view.faces[index];
  view.selected = view.look.selected = index;
  if (face) view.anchor = [(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2];
  fillBars(find(".em-bars"), face?.probabilities);
  const top = face ? strongest(face.probabilities) : -1;
  const many = view.faces.length > 1;
  find(".em-face-name").textContent =
    face ? (many ? say("face_n", { n: index + 1 }) : nameOf(top)) : say("panel_waiting");
  const share = face ? `${percent(face.probabilities[top])} %` : "";
  find(".em-winner").textContent = many ? `${nameOf(top)} ${share}` : share;
  find(".em-panel").classList.toggle("em-many", many);
  placeTargets();
  draw();
  announce();
}

/** One invisible button over each face, so that it can be chosen by hand and by keyboard. */
function placeTargets() {
  while (targets.children.length > view.faces.length) targets.lastChild.remove();
  while (targets.children.length < view.faces.length) {
    const index = targets.children.length;
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => select(index));
    targets.append(button);
  }
  view.faces.forEach(({ box }, index) => {
    const button = targets.children[index];
    const left = view.mirrored ? 1 - box[2] : box[0];
    Object.assign(button.style, {
      left: `${left * 100}%`,
      top: `${box[1] * 100}%`,
      width: `${(box[2] - box[0]) * 100}%`,
      height: `${(box[3] - box[1]) * 100}%`,
    });
    button.setAttribute("aria-pressed", String(index === view.selected));
    if (!button.hasAttribute("aria-label")) button.setAttribute("aria-label", describe(index));
  });
}

function describe(index) {
  const { probabilities } = view.faces[index];
  const top = strongest(probabilities);
  const values = { n: index + 1, label: nameOf(top), percent: percent(probabilities[top]) };
  return say("face_label", values);
}

/** Tell screen readers the selected face's label, at most every two seconds. */
function announce() {
  const now = performance.now();
  if (!view.faces.length || now - view.announced < ANNOUNCE_EVERY) return;
  view.announced = now;
  view.faces.forEach((_, i) => targets.children[i].setAttribute("aria-label", describe(i)));
  const sentence = describe(view.selected);
  if (announcer.textContent !== sentence) announcer.textContent = sentence;
}

function draw() {
  const unit = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * unit);
  canvas.height = Math.round(canvas.clientHeight * unit);
  const frame = { width: canvas.width, height: canvas.height, mirrored: view.mirrored, unit };
  drawFaces(canvas.getContext("2d"), view.faces, frame, view.look);
}

function save() {
  const picture = document.createElement("canvas");
  picture.width = video.videoWidth;
  picture.height = video.videoHeight;
  const context = picture.getContext("2d");
  if (view.mirrored) context.transform(-1, 0, 0, 1, picture.width, 0);
  context.drawImage(video, 0, 0);
  context.resetTransform();
  const unit = picture.width / stage.clientWidth;
  const { width, height } = picture;
  drawFaces(context, view.faces, { width, height, mirrored: view.mirrored, unit }, view.look);
  download(picture);
}

function freeze() {
  view.frozen = !view.frozen;
  view.settled = false;
  if (view.frozen) video.pause();
  else video.play().catch(() => stop("camera_lost"));
  setState(view.frozen ? "frozen" : "running");
}

const actions = { start: () => start(), stop: () => stop(), freeze, save, switch: switchCamera };
for (const button of element.querySelectorAll("button[data-do]"))
  button.addEventListener("click", actions[button.dataset.do]);
find("[data-do=heat]").addEventListener("change", (event) => {
  view.look.heat = event.target.checked;
  draw();
});
find("[data-do=opacity]").addEventListener("input", (event) => {
  view.look.opacity = event.target.value / 100;
  draw();
});
find("[data-do=explain]").addEventListener("change", (event) => {
  view.explain = Number(event.target.value);
  view.settled = false;
});
video.addEventListener("resize", () =>
  stage.style.setProperty("--ratio", String(video.videoWidth / video.videoHeight)),
);
new ResizeObserver(draw).observe(stage);
window.addEventListener("pagehide", () => stop());

translate(element);
setState("idle");
