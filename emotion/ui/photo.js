// @ts-check
/**
 * The Photo tab. Gradio runs this with `element` (the component) and `server` (our functions).
 *
 * The answer holds the maps of all six classes, so choosing another one redraws and asks nobody.
 */
const {
  language, say, translate, cameraProblem, Camera, download, Result, groupSummary, isGroup,
  callServer, failure, fit, pictureOf, Many, filesOf, onDrop, Keep,
} = window.emotionPage;

const SHOT_WITHIN = 1000; // ms in which the camera must send a picture to take

const find = (selector) => element.querySelector(selector);
const section = find(".em-photo");
const video = find("video");
const problem = find(".em-error");
const keep = new Keep(find(".em-keep input"));
const result = new Result(section, (crop, mask) =>
  view.request.kept
    ? keep.cover(crop, mask)
    : server.cover_face({ crop, mask }).catch(() => undefined),
);

const eye = new Camera(video, () => dropCamera("camera_lost"));
const busy = find(".em-busy");
const most = { bytes: Number(section.dataset.limit), pixels: Number(section.dataset.pixels) };
const many = new Many(find(".em-many"), most, (file) => take(file), () => setState("many"));

const view = {
  turn: 0, // number of the current picture; a late answer to an older one is dropped
  request: null, // what was asked last, to ask again with detect: false
  original: null, // the picture as it was given, in full size
  answer: null,
  stop: null, // ends what is under way
};

function setState(state) {
  section.dataset.state = state;
  if (state !== "working") showBusy();
  if (state !== "camera") {
    eye.close();
  }
}

function complain(sentence, action) {
  problem.hidden = !sentence;
  problem.textContent = sentence;
  problem.classList.toggle("em-offer", Boolean(action));
  if (action) problem.append(action);
  if (sentence) problem.scrollIntoView({ block: "nearest" });
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
  if (keep.on) {
    const kept = await pictureOf(file);
    return turn === view.turn ? ask({ kept: true }, kept) : undefined;
  }
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

/**
 * @param {{image?: string, example?: string, kept?: boolean, detect?: boolean}} request
 * @param {HTMLImageElement | null} [original]
 */
async function ask(request, original = null) {
  const turn = begin();
  view.request = request;
  let answer, photo;
  try {
    const told = (key, part) => turn === view.turn && showBusy(key, part);
    answer = request.kept
      ? await keep.analyze(original, request.detect !== false, told)
      : await callServer("photo", "analyze_photo", { ...request, language }, {
        signal: view.stop.signal,
        progress: (part) => told(part < 1 ? "photo_sending" : "photo_working", part),
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
  const lost = section.contains(document.activeElement) || document.activeElement === document.body;
  Object.assign(view, { answer, original });
  setState("result");
  find("[data-do=back]").hidden = !many.isOpen;
  result.show(answer, original);
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
  button.addEventListener("click", () =>
    ask({ ...view.request, detect: false }, view.original),
  );
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
  shot.toBlob((blob) => take(blob), "image/jpeg", 0.92);
}

function another() {
  view.turn++;
  many.close();
  view.answer = null;
  result.clear();
  complain("");
  setState("idle");
  find("[data-do=choose]").focus();
}

const input = find("input[type=file]:not([data-folder])");
const actions = {
  choose: () => input.click(),
  camera,
  shoot,
  cancel: () => {
    setState("idle");
    find("[data-do=camera]").focus();
  },
  another,
  others: another,
  save: () => download(result.whole()),
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
  if (keep.on) return fail(say("photo_keep_one"));
  complain("");
  many.start(files);
}

onDrop(section, (given) => filesOf(given).then(takeAll));
document.addEventListener("paste", (event) => {
  if (!section.offsetParent) return;
  const files = [...event.clipboardData.files];
  if (files.length) takeAll(files.map((file) => ({ file, path: file.name })));
  else complain(say("photo_no_picture"));
});
new IntersectionObserver(() => section.offsetParent || dropCamera()).observe(section);
window.addEventListener("pagehide", () => setState("idle"));

translate(element);
