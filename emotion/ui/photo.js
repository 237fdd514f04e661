// @ts-check
/**
 * The Photo tab. Gradio runs this with `element` (the component) and `server` (our functions).
 *
 * The answer holds the maps of all six classes, so choosing another one redraws and asks nobody.
 */
const {
  language, say, translate, drawFaces, cameraProblem, Camera, download, Card, press,
} = window.emotionPage;

const SHOT_WITHIN = 1000; // ms in which the camera must send a picture to take

const find = (selector) => element.querySelector(selector);
const section = find(".em-photo");
const video = find("video");
const canvas = find(".em-picture canvas");
const cards = find(".em-cards");
const problem = find(".em-error");

const eye = new Camera(video, () => dropCamera("camera_lost"));

const view = {
  turn: 0, // number of the current picture; a late answer to an older one is dropped
  request: null, // what was asked last, to ask again with detect: false
  photo: null,
  answer: null,
  look: { heat: true, spotlight: true, opacity: 0.75, selected: -1, source: null },
  cards: [],
};

function setState(state) {
  section.dataset.state = state;
  if (state !== "camera") {
    eye.close();
  }
}

function complain(sentence, action) {
  problem.hidden = !sentence;
  problem.textContent = sentence;
  problem.classList.toggle("em-offer", Boolean(action));
  if (action) problem.append(action);
}

/** @param {File | Blob | null | undefined} file */
function take(file) {
  if (!file) return;
  const limit = Number(section.dataset.limit);
  if (file.size > limit) {
    setState(view.answer ? "result" : "idle");
    return complain(say("photo_too_large", { limit: limit / 1024 ** 2 }));
  }
  const reader = new FileReader();
  // An empty file gives a URL without a body; the server shall say what is wrong with it.
  reader.onload = () => ask({ image: file.size ? reader.result : "data:;base64," });
  reader.onerror = () => complain(say("photo_unreadable"));
  reader.readAsDataURL(file);
}

async function ask(request) {
  const turn = ++view.turn;
  view.request = request;
  setState("working");
  complain("");
  find(".em-status").textContent = say("photo_working");
  let answer, photo;
  try {
    answer = await server.analyze_photo({ ...request, language });
    if (answer?.photo) photo = await load(answer.photo);
  } catch {
    answer = undefined;
  }
  if (turn !== view.turn) return;
  if (photo) return show(answer, photo);
  setState("idle");
  view.answer = null;
  complain(refusal(answer));
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

function show(answer, photo) {
  Object.assign(view, { answer, photo });
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
  view.cards = faces.map(card);
  cards.replaceChildren(...view.cards.map(({ node }) => node));
  canvas.width = answer.width;
  canvas.height = answer.height;
  canvas.style.setProperty("--ratio", String(answer.width / answer.height));
  explainAll(-1);
  if (!faces.length) complain(say("photo_no_face"), wholePictureButton());
}

function wholePictureButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "em-button";
  button.textContent = say("photo_force");
  button.addEventListener("click", () => ask({ ...view.request, detect: false }));
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
  if (!view.answer) return;
  const { width, height, faces } = view.answer;
  const context = canvas.getContext("2d");
  context.drawImage(view.photo, 0, 0, width, height);
  const unit = width / (canvas.clientWidth || width);
  drawFaces(context, faces, { width, height, mirrored: false, unit }, view.look);
}

function redraw() {
  drawPhoto();
  for (const one of view.cards) one.draw(true);
}

async function camera() {
  complain("");
  try {
    setState("camera");
    await eye.open();
    video.classList.toggle("em-mirrored", eye.mirrored);
    find("[data-do=shoot]").focus();
  } catch (error) {
    if (section.dataset.state !== "camera") return; // closed meanwhile
    setState("idle");
    complain(say(cameraProblem(error)));
  }
}

/** Its tab was left, or the camera went away. @param {string} [reason] */
function dropCamera(reason) {
  if (section.dataset.state !== "camera") return;
  setState("idle");
  complain(reason ? say(reason) : "");
}

/** Take the picture as it is seen; not an old one, where none comes any more. */
async function shoot() {
  eye.fresh = false;
  if (!(await eye.picture(SHOT_WITHIN))) return complain(say("camera_silent"));
  complain("");
  const shot = document.createElement("canvas");
  shot.width = video.videoWidth;
  shot.height = video.videoHeight;
  const context = shot.getContext("2d");
  if (eye.mirrored) context.transform(-1, 0, 0, 1, shot.width, 0);
  context.drawImage(video, 0, 0);
  shot.toBlob(take, "image/jpeg", 0.92);
}

function another() {
  view.turn++;
  view.answer = null;
  view.cards = [];
  complain("");
  setState("idle");
  find("[data-do=choose]").focus();
}

const input = find("input[type=file]");
const actions = {
  choose: () => input.click(),
  camera,
  shoot,
  cancel: () => setState("idle"),
  another,
  save: () => download(canvas),
};
for (const button of element.querySelectorAll("button[data-do]"))
  if (actions[button.dataset.do]) button.addEventListener("click", actions[button.dataset.do]);
for (const button of element.querySelectorAll("[data-example]"))
  button.addEventListener("click", () => ask({ example: button.dataset.example }));
input.addEventListener("change", () => {
  take(input.files[0]);
  input.value = "";
});
section.addEventListener("dragover", (event) => {
  event.preventDefault();
  section.classList.add("em-dragging");
});
section.addEventListener("dragleave", () => section.classList.remove("em-dragging"));
section.addEventListener("drop", (event) => {
  event.preventDefault();
  section.classList.remove("em-dragging");
  take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  if (!section.offsetParent) return;
  const file = [...event.clipboardData.files][0];
  if (file) take(file);
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
new IntersectionObserver(() => section.offsetParent || dropCamera()).observe(section);
window.addEventListener("pagehide", () => setState("idle"));

translate(element);
