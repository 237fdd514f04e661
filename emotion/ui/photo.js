// @ts-check
/**
 * The Photo tab. Gradio runs this with `element` (the component) and `server` (our functions).
 *
 * The answer holds the maps of all six classes, so choosing another one redraws and asks nobody.
 */
const {
  language, say, translate, drawFaces, cameraProblem, openCamera, closeCamera, looksAtVisitor,
  download, Card, press, callServer, failure, fit, pictureOf, drawn, PORTABLE, Many, filesOf,
} = window.emotionPage;

const SHOWN_SIDE = 1600; // px of the longer side of the picture on the page

const find = (selector) => element.querySelector(selector);
const section = find(".em-photo");
const video = find("video");
const canvas = find(".em-picture canvas");
const cards = find(".em-cards");
const problem = find(".em-error");
const busy = find(".em-busy");
const most = { bytes: Number(section.dataset.limit), pixels: Number(section.dataset.pixels) };
const many = new Many(find(".em-many"), most, (file) => take(file), () => setState("many"));

const view = {
  turn: 0, // number of the current picture; a late answer to an older one is dropped
  stream: null,
  request: null, // what was asked last, to ask again with detect: false
  original: null, // the picture as it was given, in full size
  photo: null, // the same as it is shown
  answer: null,
  stop: null, // ends what is under way
  look: { heat: true, spotlight: true, opacity: 0.75, selected: -1, source: null },
  cards: [],
};

function setState(state) {
  section.dataset.state = state;
  if (state !== "camera") {
    closeCamera(view.stream);
    view.stream = video.srcObject = null;
  }
}

function complain(sentence, action) {
  problem.hidden = !sentence;
  problem.textContent = sentence;
  problem.classList.toggle("em-offer", Boolean(action));
  if (action) problem.append(action);
}

/** Show what happens now, and how far it is. @param {string} [key] @param {number} [part] 0..1 */
function showBusy(key = "", part = 0) {
  const words = key && say(key);
  const status = busy.querySelector("[role=status]");
  if (status.textContent !== words) status.textContent = words;
  const bar = busy.querySelector("progress");
  if (key === "photo_sending") bar.value = part;
  else bar.removeAttribute("value"); // nobody knows how long that takes
}

/** @param {File | Blob | null | undefined} file */
async function take(file) {
  if (!file) return;
  const turn = begin();
  try {
    const sent = await fit(file, most, () => turn === view.turn && showBusy("photo_shrinking"));
    // An empty file gives a URL without a body; the server shall say what is wrong with it.
    const image = sent.size ? await dataUrl(sent) : "data:;base64,";
    const original = await pictureOf(file);
    if (turn === view.turn) await ask({ image }, original);
  } catch (error) {
    if (turn === view.turn) fail(failure(error));
  }
}

/** @param {Blob} blob @returns {Promise<string>} */
function dataUrl(blob) {
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Whatever is under way ends; what comes next has this number. */
function begin() {
  view.stop?.abort();
  view.stop = new AbortController();
  setState("working");
  complain("");
  showBusy("photo_sending");
  return ++view.turn;
}

function fail(sentence) {
  view.answer = null;
  setState(many.isOpen ? "many" : "idle");
  complain(sentence);
}

/** @param {object} request @param {HTMLImageElement | null} [original] */
async function ask(request, original = null) {
  const turn = begin();
  view.request = request;
  let answer, photo;
  try {
    answer = await callServer("photo", "analyze_photo", { ...request, language }, {
      signal: view.stop.signal,
      progress: (part) =>
        turn === view.turn && showBusy(part < 1 ? "photo_sending" : "photo_working", part),
    });
    if (answer?.photo) photo = matches(original, answer) ? original : await load(answer.photo);
  } catch (error) {
    if (turn === view.turn) fail(failure(error));
    return;
  }
  if (turn !== view.turn) return;
  if (photo) return show(answer, photo);
  fail(refusal(answer));
}

/** Whether browser and server see the same picture: one may not know how it was turned. */
function matches(original, { width, height }) {
  if (!original?.naturalHeight) return false;
  return Math.abs(original.naturalWidth / original.naturalHeight / (width / height) - 1) < 0.02;
}

function halt() {
  view.turn++;
  view.stop?.abort();
  setState(many.isOpen ? "many" : "idle");
  (many.isOpen ? many : find("[data-do=choose]")).focus();
}

/** The sentence for an answer without a result; the server's own is English and more precise. */
function refusal(answer) {
  if (!answer?.error) return say("photo_unreachable");
  const { detail } = answer;
  if (language !== "en" || !detail) return say(answer.error);
  return detail[0].toUpperCase() + detail.slice(1);
}

/** @param {string} url @returns {Promise<HTMLImageElement>} */
async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

function show(answer, original) {
  const { naturalWidth: width, naturalHeight: height } = original;
  const scale = Math.min(1, SHOWN_SIDE / Math.max(width, height));
  const photo = drawn(original, scale);
  Object.assign(view, { answer, original, photo });
  showBusy();
  setState("result");
  const { faces, count } = answer;
  section.classList.toggle("em-one", faces.length === 1);
  section.classList.toggle("em-none", !faces.length);
  find(".em-status").textContent =
    view.request.detect === false ? say("photo_whole")
    : count > faces.length ? say("photo_many", { count, shown: faces.length })
    : count === 0 ? ""
    : count === 1 ? say("photo_one_face")
    : say("photo_faces", { count });
  find(".em-toolbar [data-do=explain]").value = "-1";
  view.look.source = photo;
  find("[data-do=back]").hidden = !many.isOpen;
  view.cards = faces.map(card);
  cards.replaceChildren(...view.cards.map(({ node }) => node));
  canvas.width = photo.width;
  canvas.height = photo.height;
  canvas.style.setProperty("--ratio", String(width / height));
  explainAll(-1);
  if (!faces.length) complain(say("photo_no_face"), wholePictureButton());
}

function wholePictureButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "em-button";
  button.textContent = say("photo_force");
  button.addEventListener("click", () =>
    ask({ ...view.request, detect: false }, view.original),
  );
  return button;
}

function card(face, index) {
  const node = find("template").content.cloneNode(true).firstElementChild;
  translate(node);
  face.number = index + 1;
  const ask = (mask) => server.cover_face({ crop: face.crop, mask }).catch(() => undefined);
  const one = new Card(node, face, view.look, ask, (choice) => {
    one.explain(choice);
    drawPhoto();
  });
  return one;
}

function explainAll(choice) {
  for (const one of view.cards) one.explain(choice);
  drawPhoto();
}

function drawPhoto() {
  if (view.answer) drawOn(canvas, view.photo, canvas.width / (canvas.clientWidth || canvas.width));
}

/** @param {HTMLCanvasElement} target @param {CanvasImageSource} source @param {number} unit */
function drawOn(target, source, unit) {
  const { width, height } = target;
  const context = target.getContext("2d");
  context.drawImage(source, 0, 0, width, height);
  const frame = { width, height, mirrored: false, unit };
  drawFaces(context, view.answer.faces, frame, view.look);
}

/** Save the picture in the size it was given in. */
function save() {
  const { naturalWidth: width, naturalHeight: height } = view.original;
  const scale = Math.min(1, Math.sqrt(PORTABLE / (width * height)));
  const whole = drawn(view.original, scale);
  drawOn(whole, view.original, whole.width / (canvas.clientWidth || whole.width));
  download(whole);
}

function redraw() {
  drawPhoto();
  for (const one of view.cards) one.draw(true);
}

async function camera() {
  complain("");
  try {
    setState("camera");
    view.stream = await openCamera(video, { facingMode: { ideal: "user" } });
    video.classList.toggle("em-mirrored", looksAtVisitor(view.stream));
    if (section.dataset.state !== "camera") setState(section.dataset.state);
    else find("[data-do=shoot]").focus();
  } catch (error) {
    setState("idle");
    complain(say(cameraProblem(error)));
  }
}

function shoot() {
  const shot = document.createElement("canvas");
  shot.width = video.videoWidth;
  shot.height = video.videoHeight;
  shot.getContext("2d").drawImage(video, 0, 0);
  shot.toBlob((blob) => take(blob), "image/jpeg", 0.92);
}

function another() {
  view.turn++;
  many.close();
  view.answer = null;
  view.cards = [];
  complain("");
  setState("idle");
  find("[data-do=choose]").focus();
}

const input = find("input[type=file]:not([data-folder])");
const actions = {
  choose: () => input.click(),
  camera,
  shoot,
  cancel: () => setState("idle"),
  another,
  save,
  halt,
  folder: () => find("[data-folder]").click(),
  back: () => setState("many"),
};
for (const button of element.querySelectorAll("button[data-do]"))
  if (actions[button.dataset.do]) button.addEventListener("click", actions[button.dataset.do]);
for (const button of element.querySelectorAll("[data-example]"))
  button.addEventListener("click", () => ask({ example: button.dataset.example }));
for (const chooser of element.querySelectorAll("input[type=file]"))
  chooser.addEventListener("change", () => {
    takeAll([...chooser.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
    chooser.value = "";
  });

/** One picture gets its cards, several a table. @param {{file: File, path: string}[]} files */
function takeAll(files) {
  if (!files.length) return;
  if (files.length === 1) {
    many.close();
    return take(files[0].file);
  }
  view.turn++;
  view.stop?.abort();
  view.answer = null;
  complain("");
  many.start(files);
}

section.addEventListener("dragover", (event) => {
  event.preventDefault();
  section.classList.add("em-dragging");
});
section.addEventListener("dragleave", () => section.classList.remove("em-dragging"));
section.addEventListener("drop", (event) => {
  event.preventDefault();
  section.classList.remove("em-dragging");
  filesOf(event.dataTransfer).then(takeAll);
});
document.addEventListener("paste", (event) => {
  if (!section.offsetParent) return;
  const files = [...event.clipboardData.files];
  if (files.length) takeAll(files.map((file) => ({ file, path: file.name })));
  else complain(say("photo_no_picture"));
});
find(".em-toolbar [data-do=heat]").addEventListener("change", (event) => {
  view.look.heat = event.target.checked;
  redraw();
});
find(".em-toolbar [data-do=spotlight]").addEventListener("click", ({ currentTarget }) => {
  view.look.spotlight = section.classList.toggle("em-spot", press(currentTarget));
  redraw();
});
find(".em-toolbar [data-do=opacity]").addEventListener("input", (event) => {
  view.look.opacity = event.target.value / 100;
  redraw();
});
find(".em-toolbar [data-do=explain]").addEventListener("change", (event) =>
  explainAll(Number(event.target.value)),
);
new ResizeObserver(drawPhoto).observe(canvas);
window.addEventListener("pagehide", () => setState("idle"));

translate(element);
