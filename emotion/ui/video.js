// @ts-check
/**
 * The Video tab. Gradio runs this with `element` (the component).
 *
 * A clip goes to the server in pieces and comes back as numbers, while the browser plays its own copy
 * with boxes on it. What a browser cannot play, it sees as the server's copy.
 */
const {
  say, translate, drawFaces, fillBars, verdict, colorOf, nameOf, strongest, percent, failure,
  SendError, SentClip, Footage, drawPlot, clockOf, lasting, saveFile, onDrop,
  onColours,
} = window.emotionPage;

const MOST_CHOICES = 8; // faces to choose from

const find = (selector) => element.querySelector(selector);
const section = find(".em-video");
const video = find("video");
const overlay = find(".em-frame canvas");
const plot = find(".em-plot canvas");
const slider = find(".em-plot input");
const busy = find(".em-busy");
const problem = find(".em-error");
const look = { heat: true, spotlight: true, opacity: 0.75, selected: -1, source: video };

const view = {
  sent: new SentClip(),
  clip: new Footage(),
  chosen: 0, // number of the face whose curves are shown
  plays: false, // whether the browser plays the file itself
  drawn: false, // whether the boxes are in the picture already
  began: 0, // when the analysis did
};

function setState(state) {
  section.dataset.state = state;
}

function complain(sentence) {
  problem.hidden = !sentence;
  problem.textContent = sentence;
  if (sentence) problem.scrollIntoView({ block: "nearest" });
}

/** @param {string} words @param {number} [part] 0..1, or nothing where nobody knows */
function showBusy(words, part) {
  const status = busy.querySelector("[role=status]");
  const [said, detail] = words.split(" · ");
  if (status.textContent !== said) status.textContent = said;
  busy.querySelector(".em-quiet").textContent = detail ?? "";
  const bar = busy.querySelector("progress");
  if (part === undefined) bar.removeAttribute("value");
  else bar.value = part;
}

/** @param {File | undefined} file */
async function take(file) {
  if (!file) return;
  const sent = reset();
  const most = Number(section.dataset.limit);
  if (file.size > most) return fail(say("video_too_large"));
  setState("sending");
  showBusy(say("video_sending"), 0);
  try {
    await play(file);
    if (sent.ended) return;
    if (view.plays && video.duration > Number(section.dataset.seconds) + 1)
      throw new SendError("video_too_long");
    await sent.send(file, (part) => sent.ended || showSending(part, file.size));
    if (sent.ended) return;
    setState("working");
    view.began = performance.now();
    await sent.follow(known, show);
    await sent.keep(known(), () => { find("[data-do=copy]").hidden = true; });
  } catch (error) {
    if (!sent.ended) fail(failure(error));
  }
}

/** How many frames and rows are here, as the server wants to hear it. */
const known = () => `${view.clip.times.length}-${view.clip.rows}`;

/** End what is under way, and begin with nothing. */
function reset() {
  view.sent.end();
  URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.load();
  Object.assign(view, {
    sent: new SentClip(), clip: new Footage(), chosen: 0, plays: false, drawn: false,
  });
  find(".em-people").replaceChildren();
  complain("");
  showBusy("");
  return view.sent;
}

function fail(sentence) {
  reset();
  setState("idle");
  complain(sentence);
}

/** Find out whether the browser plays a file. @param {File} file */
async function play(file) {
  video.src = URL.createObjectURL(file);
  view.plays = await new Promise((resolve) => {
    video.onloadedmetadata = () => resolve(video.videoWidth > 0);
    video.onerror = () => resolve(false);
  });
  section.classList.toggle("em-unplayed", !view.plays);
}

/** @param {number} part 0..1 @param {number} size bytes */
function showSending(part, size) {
  const done = Math.round(part * 100);
  showBusy(`${say("video_sending")} · ${say("video_sent", { done, size: Math.ceil(size / 1024 ** 2) })}`, part);
}

function show(answer) {
  const { clip } = view;
  if (!clip.times.length) view.began = performance.now();
  clip.take(answer);
  slider.max = String(clip.length || 1);
  if (!view.chosen && clip.people.size) view.chosen = clip.faces[0];
  offerFaces();
  draw();
  if (answer.state === "done") return finish(answer);
  if (answer.state === "waiting") return showBusy(say("video_waiting"));
  const part = clip.length ? Math.min(1, (clip.times.at(-1) ?? 0) / clip.length) : 0;
  const seconds = (performance.now() - view.began) / 1000;
  const left = part > 0.03 ? ` · ${say("video_left", { left: lasting(Math.round((seconds / part) * (1 - part))) })}` : "";
  showBusy(`${say("video_working")}${left}`, part);
}

function finish({ copy, remark }) {
  showBusy("");
  setState("done");
  const { clip } = view;
  const counts = { frames: clip.times.length, faces: clip.people.size };
  find(".em-status").textContent =
    [clip.people.size ? say("video_done", counts) : say("video_no_face"), remark].filter(Boolean).join(" · ");
  find("[data-do=copy]").hidden = !copy;
  if (!view.plays && copy) {
    view.drawn = true;
    video.src = view.sent.copy;
    section.classList.remove("em-unplayed");
  }
  draw();
}

function offerFaces() {
  const place = find(".em-people");
  const numbers = view.clip.faces.slice(0, MOST_CHOICES).sort((one, other) => one - other);
  if (numbers.length === place.children.length) return;
  place.replaceChildren(...numbers.map((n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "em-chip";
    button.textContent = say("face_n", { n });
    button.addEventListener("click", () => {
      view.chosen = n;
      draw();
    });
    button.dataset.face = String(n);
    return button;
  }));
  place.hidden = numbers.length < 2;
}

/** Draw everything for the moment at which the clip stands. */
function draw() {
  const time = video.currentTime || 0;
  const { clip, chosen } = view;
  const faces = clip.facesAt(time);
  const unit = window.devicePixelRatio || 1;
  overlay.width = Math.round(overlay.clientWidth * unit);
  overlay.height = Math.round(overlay.clientHeight * unit);
  const { width, height } = overlay;
  look.selected = faces.findIndex(({ number }) => number === chosen);
  if (!view.drawn && width)
    drawFaces(overlay.getContext("2d"), faces, { width, height, mirrored: false, unit }, look);
  for (const button of find(".em-people").children)
    button.setAttribute("aria-pressed", String(Number(button.dataset.face) === chosen));
  const face = faces[look.selected];
  const { name, share, detail } = face ? verdict(face)
    : { name: say("video_absent"), share: "", detail: clockOf(Math.floor(time)) };
  find(".em-face h2").textContent = name;
  find(".em-face .em-winner").textContent = share;
  find(".em-face .em-detail").textContent = detail;
  find(".em-face").style.setProperty("--accent", face ? colorOf(face) : "transparent");
  fillBars(find(".em-bars"), face);
  drawPlot(plot, clip, chosen, time);
  slider.value = String(time);
  slider.setAttribute("aria-valuetext", `${clockOf(Math.floor(time))}: ${name} ${share}`);
  plot.setAttribute("aria-label", plotSentence());
}

/** The curves in a sentence. */
function plotSentence() {
  const seen = view.clip.people.get(view.chosen);
  if (!seen) return say("video_plot_empty");
  const sums = seen[0].face.probabilities.map((_, index) =>
    seen.reduce((sum, { face }) => sum + face.probabilities[index], 0) / seen.length);
  const top = strongest(sums);
  return say("video_plot_label", { n: view.chosen, label: nameOf(top), share: percent(sums[top]) });
}

function seek(time) {
  video.currentTime = Math.max(0, Math.min(time, video.duration || view.clip.length));
  draw();
}

function onFrame() {
  draw();
  watchFrames();
}

function watchFrames() {
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(onFrame);
}

const actions = {
  choose: () => find("input[type=file]").click(),
  halt: () => {
    reset();
    setState("idle");
    find("[data-do=choose]").focus();
  },
  another: () => actions.halt(),
  csv: () => saveFile(view.clip.csv(), "emotion.csv"),
  copy: () => {
    const link = document.createElement("a");
    link.href = view.sent.copy;
    link.download = "emotion.mp4";
    link.click();
  },
};
for (const button of element.querySelectorAll("button[data-do]"))
  button.addEventListener("click", actions[button.dataset.do]);
find("input[type=file]").addEventListener("change", ({ target }) => {
  take(target.files[0]);
  target.value = "";
});
onDrop(section, ({ files: [file, ...others] }) => {
  take(file);
  if (others.length) complain(say("video_first", { count: others.length }));
});
plot.addEventListener("pointerdown", (event) => {
  const { left, width } = plot.getBoundingClientRect();
  seek(((event.clientX - left) / width) * view.clip.length);
});
find("[data-do=heat]").addEventListener("change", ({ target }) => {
  look.heat = target.checked;
  draw();
});
slider.addEventListener("input", () => seek(Number(slider.value)));
for (const name of ["timeupdate", "seeked", "loadeddata"]) video.addEventListener(name, draw);
video.addEventListener("loadedmetadata", () =>
  find(".em-frame").style.setProperty("--ratio", String(video.videoWidth / video.videoHeight || 1.78)));
new ResizeObserver(draw).observe(find(".em-frame"));
new ResizeObserver(draw).observe(plot);
onColours(draw);
window.addEventListener("pagehide", () => {
  view.sent.leave();
  reset();
  setState("idle");
});

translate(element);
watchFrames();
setState("idle");
