// @ts-check
/**
 * The Photo tab. Gradio runs this with `element` (the component) and `server` (our functions).
 *
 * The answer holds the maps of all six classes, so choosing another one redraws and asks nobody.
 */
const {
  language, say, translate, cameraProblem, Camera, download, Result, groupSummary, isGroup,
} = window.emotionPage;

const SHOT_WITHIN = 1000; // ms in which the camera must send a picture to take

const find = (selector) => element.querySelector(selector);
const section = find(".em-photo");
const video = find("video");
const problem = find(".em-error");
const result = new Result(section, (crop, mask) =>
  server.cover_face({ crop, mask }).catch(() => undefined),
);

const eye = new Camera(video, () => dropCamera("camera_lost"));

const view = {
  turn: 0, // number of the current picture; a late answer to an older one is dropped
  request: null, // what was asked last, to ask again with detect: false
  answer: null,
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
  const lost = section.contains(document.activeElement) || document.activeElement === document.body;
  view.answer = answer;
  setState("result");
  result.show(answer, photo);
  const { faces, count } = answer;
  find(".em-status").textContent =
    view.request.detect === false ? say("photo_whole")
    : isGroup(faces) ? groupSummary(faces, count)
    : count === 0 ? ""
    : count === 1 ? say("photo_one_face")
    : say("photo_faces", { count });
  if (!faces.length) complain(say("photo_no_face"), wholePictureButton());
  if (lost) find("[data-do=another]").focus({ preventScroll: true });
}

function wholePictureButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "em-button";
  button.textContent = say("photo_force");
  button.addEventListener("click", () => ask({ ...view.request, detect: false }));
  return button;
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
  result.clear();
  complain("");
  setState("idle");
  find("[data-do=choose]").focus();
}

const input = find("input[type=file]");
const actions = {
  choose: () => input.click(),
  camera,
  shoot,
  cancel: () => {
    setState("idle");
    find("[data-do=camera]").focus();
  },
  another,
  save: () => download(result.canvas),
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
new IntersectionObserver(() => section.offsetParent || dropCamera()).observe(section);
window.addEventListener("pagehide", () => setState("idle"));

translate(element);
