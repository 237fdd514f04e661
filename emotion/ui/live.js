// @ts-check
/**
 * The Live tab. Gradio runs this with `element` (the component) and `server` (our functions).
 *
 * One frame is under way at a time: capture, send, wait for the answer, draw, repeat. So a slow
 * server gives fewer answers, never a growing delay. The video itself runs at the camera's rate.
 */
const {
  language, say, translate, cameraProblem, openCamera, closeCamera, looksAtVisitor, download, Stage,
  Why, Controls, frameSide,
} = window.emotionPage;

const SENT_QUALITY = 0.75;
const SHORTEST_GAP = 40; // ms between two frames: at most 25 answers a second
const ANSWER_TIMEOUT = 8000;
const REPORT_EVERY = 1000; // ms over which rate and latency are averaged
const NOTE_AFTER = 1200; // ms without an answer or a face before a sentence says so
const RESTARTED_AFTER = 3000; // ms of silence after which the server may be another one
const RESUME_KEY = "emotion-live-lost"; // when the server was missed, for the page after a reload
const RESUME_WITHIN = 300_000; // ms
const FORGOTTEN_AFTER = 60_000; // ms without a question after which it may have forgotten us

const find = (selector) => element.querySelector(selector);
const section = find(".em-live");
const video = find("video");
const note = find(".em-note");
const capture = document.createElement("canvas");
const stage = new Stage(element);
const controls = new Controls(element);
const why = new Why(find(".em-why"), stage.people);

const view = {
  run: 0, // number of the current start; an older loop sees that it is over
  stream: null,
  frozen: false,
  frozenAt: 0,
  frozenFor: 0, // ms; while frozen, the clock of the video stands still
  settled: false, // the frozen frame has its answer
  explain: -1,
  latency: 0, // ms of the newest answer
  visitor: "", // what the server knows our tracks by
  answered: false, // since the page was loaded
  lastAsked: 0,
  lastAnswer: 0,
  lastFace: 0,
  latencies: [], // of the answers since `reported`
  reported: 0,
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Seconds on the clock of the video. */
const clock = () => ((view.frozen ? view.frozenAt : performance.now()) - view.frozenFor) / 1000;

/** Start with faces that neither side has met, since the server's numbers may begin anew. */
function meetAnew() {
  view.visitor = crypto.randomUUID();
  stage.people.clear();
}

const setState = (state) => controls.show(state, view.frozen);

function showNote(sentence) {
  if (note.textContent !== sentence) note.textContent = sentence;
  note.hidden = !sentence;
}

/** @param {MediaTrackConstraints} choice */
async function start(choice = { facingMode: { ideal: "user" } }) {
  release();
  const { run } = view;
  setState("starting");
  showNote(say("starting"));
  find("[data-do=photo]").hidden = true;
  let stream = null;
  try {
    stream = await openCamera(video, choice);
  } catch (error) {
    if (run !== view.run) return;
    setState("idle");
    showNote(say(cameraProblem(error)));
    find("[data-do=photo]").hidden = false;
    return;
  }
  if (run !== view.run) return closeCamera(stream);
  view.stream = stream;
  stage.mirror(looksAtVisitor(stream));
  stream.getVideoTracks()[0].addEventListener("ended", () => {
    if (run === view.run) stop("camera_lost");
  });
  find("[data-do=switch]").hidden = (await cameras()).length < 2;
  if (run !== view.run) return;
  setState("running");
  showNote(say("waiting"));
  meetAnew();
  view.lastAsked = view.lastAnswer = view.lastFace = view.reported = performance.now();
  loop(run);
}

async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}

/** End the current run, if any: its loop sees that it is over, its camera goes off. */
function release() {
  view.run++;
  closeCamera(view.stream);
  Object.assign(view, { stream: null, frozen: false, settled: false, latencies: [] });
  video.srcObject = null;
  find(".em-pace").textContent = "";
  stage.people.clear();
  stage.show([], clock());
  why.forget();
}

function stop(reason = "") {
  const focused = section.dataset.state !== "idle" && section.contains(document.activeElement);
  release();
  setState("idle");
  showNote(reason && say(reason));
  if (focused) find("[data-do=start]").focus();
}

function leave() {
  resumable(false);
  stop();
}

async function switchCamera() {
  const track = view.stream.getVideoTracks()[0].getSettings();
  if (track.facingMode) {
    const other = track.facingMode === "environment" ? "user" : "environment";
    return start({ facingMode: { ideal: other } });
  }
  const all = await cameras();
  const next = (all.findIndex((camera) => camera.deviceId === track.deviceId) + 1) % all.length;
  return start({ deviceId: { exact: all[next].deviceId } });
}

async function loop(run) {
  while (run === view.run) {
    if (!element.isConnected || !section.offsetParent) return leave();
    if (document.hidden || (view.frozen && view.settled)) {
      await sleep(100);
      view.lastAnswer = view.lastFace = view.reported = performance.now();
      view.latencies = [];
      continue;
    }
    const began = performance.now();
    const { frozen, explain } = view;
    const { chosen } = stage.people;
    const answer = await ask(why.due(frozen, view.latency));
    if (run !== view.run) return;
    const pause = acceptOrSay(answer);
    view.latency = performance.now() - began;
    if (!pause) report(view.latency);
    const same = explain === view.explain && chosen === stage.people.chosen;
    const unexplained = answer?.faces?.some((face) => face.id === chosen && !face.why);
    view.settled = frozen && same && !unexplained && !pause;
    await sleep(Math.max(pause, SHORTEST_GAP - (performance.now() - began), 0));
  }
}

/**
 * Send the picture of this moment.
 * @param {number} cover id of the face that is to be explained by the cover test, or 0
 * @returns {Promise<any>} undefined: no answer
 */
async function ask(cover) {
  if (performance.now() - view.lastAsked > FORGOTTEN_AFTER) meetAnew();
  view.lastAsked = performance.now();
  capture.width = frameSide;
  capture.height = Math.round((frameSide * video.videoHeight) / video.videoWidth);
  capture.getContext("2d").drawImage(video, 0, 0, capture.width, capture.height);
  const jpeg = capture.toDataURL("image/jpeg", SENT_QUALITY);
  try {
    const { explain, visitor } = view;
    const answer = server.analyze_frame({
      jpeg, explain, visitor, time: clock(), cover, language,
    });
    return (await Promise.race([answer, sleep(ANSWER_TIMEOUT)])) ?? undefined;
  } catch {
    return undefined;
  }
}

/** What goes wrong while one answer is drawn ends neither the view nor the ones to come. */
function acceptOrSay(answer) {
  try {
    return accept(answer);
  } catch (error) {
    console.warn(error);
    interrupt("internal");
    return 1000;
  }
}

/** Show an answer. @returns {number} how long to wait before the next frame, in ms */
function accept(answer) {
  const now = performance.now();
  if (answer?.faces) {
    view.lastAnswer = now;
    view.answered = true;
    resumable(false);
    if (answer.faces.length) view.lastFace = now;
    stage.show(answer.faces, clock(), answer.count);
    why.show(answer.faces, view.frozen);
    if (answer.faces.length) showNote("");
    else if (now - view.lastFace > NOTE_AFTER) showNote(say("live_no_face"));
    return 0;
  }
  if (answer?.busy) {
    if (now - view.lastAnswer > NOTE_AFTER) interrupt("live_busy");
    return Math.min(Math.max(answer.wait, 30), 1000) * (1 + Math.random() / 4);
  }
  if (!answer) resumable(true);
  if (!answer && now - view.lastAnswer > RESTARTED_AFTER) {
    meetAnew();
    reloadIfBack();
  }
  interrupt(answer?.error ?? (navigator.onLine ? "live_unreachable" : "live_offline"));
  return 1000;
}

/** A server that is there but refuses our calls was started anew; only its own page knows it. */
async function reloadIfBack() {
  if (!view.answered) return; // reloading did not help, or we never knew each other
  const page = await fetch(location.href, { method: "HEAD" }).catch(() => undefined);
  if (page?.ok) location.reload();
}

/** Remember over a reload that somebody watched when the server went away. */
function resumable(lost) {
  try {
    if (lost) sessionStorage.setItem(RESUME_KEY, String(Date.now()));
    else sessionStorage.removeItem(RESUME_KEY);
  } catch {
    // Storage may be forbidden; then there is a button to press.
  }
}

function wasInterrupted() {
  try {
    return Date.now() - Number(sessionStorage.getItem(RESUME_KEY)) < RESUME_WITHIN;
  } catch {
    return false;
  }
}

/** Say why there are no answers; what the last one said is no longer true. */
function interrupt(reason) {
  stage.show([], clock());
  showNote(say(reason));
  find(".em-pace").textContent = "";
}

/** Say once a second how fast it goes. @param {number} latency of the newest answer in ms */
function report(latency) {
  view.latencies.push(latency);
  const now = performance.now();
  const seconds = (now - view.reported) / 1000;
  if (seconds * 1000 < REPORT_EVERY) return;
  const sorted = view.latencies.sort((one, other) => one - other);
  const rate = sorted.length / seconds;
  find(".em-pace").textContent = say("pace", {
    rate: rate.toLocaleString(language, { maximumFractionDigits: rate < 10 ? 1 : 0 }),
    latency: Math.round(sorted[sorted.length >> 1]),
    engine: section.dataset.engine,
  });
  Object.assign(view, { latencies: [], reported: now });
}

function freeze() {
  const now = performance.now();
  if (view.frozen) view.frozenFor += now - view.frozenAt;
  else view.frozenAt = now;
  view.frozen = !view.frozen;
  view.settled = false;
  if (view.frozen) video.pause();
  else video.play().catch(() => stop("camera_lost"));
  setState(view.frozen ? "frozen" : "running");
}

/** Another face or class was chosen. */
function explainAnew() {
  view.settled = false;
  why.forget();
}

/** Where to go without a camera. */
function openPhotoTab() {
  document.getElementById("photo-tab-button").click();
}

const actions = {
  start: () => start(), stop: leave, freeze, save: () => download(stage.picture()),
  switch: switchCamera, photo: openPhotoTab,
};
for (const button of element.querySelectorAll("button[data-do]"))
  if (actions[button.dataset.do]) button.addEventListener("click", actions[button.dataset.do]);
find("[data-do=explain]").addEventListener("change", (event) => {
  view.explain = Number(event.target.value);
  explainAnew();
});
window.addEventListener("pagehide", () => stop());

stage.chosen = explainAnew;

translate(element);
setState("idle");
if (wasInterrupted()) start();
