// @ts-check
/**
 * The Live tab. It runs with `element` before Gradio does: early.js.
 *
 * One frame is under way at a time: capture, send, wait for the answer, draw, repeat. So a slow
 * server gives fewer answers, never a growing delay. The video itself runs at the camera's rate.
 */
const {
  say, translate, cameraProblem, cameras, sleep, download, Camera, Controls, Stage, Why, Where,
  FrameClock, Questions, Recorder, Game, Pace, Comeback,
} = window.emotionPage;

const SHORTEST_GAP = 40; // ms between two frames: at most 25 answers a second
const NOTE_AFTER = 1200; // ms without an answer or a face before a sentence says so
const RESTARTED_AFTER = 3000; // ms of silence after which the server may be another one
const REOPEN_AFTER = 3000; // ms without a new picture after which the camera is opened anew
const PICTURE_WITHIN = 200; // ms to wait for a new picture before we look whether there is a reason

const find = (selector) => element.querySelector(selector);
const section = find(".em-live");
const video = find("video");
const note = find(".em-note");
const stage = new Stage(element);
const controls = new Controls(element);
const why = new Why(find(".em-why"), stage.people);
const camera = new Camera(video, () => stop("camera_lost"));
const recorder = new Recorder(find(".em-session"));
const game = new Game(element, stage);
const pace = new Pace(find(".em-pace"), section.dataset.engine);
const comeback = new Comeback();
const where = new Where(section);
const clock = new FrameClock();
const questions = new Questions(video, where, clock, forgetFaces);

const view = {
  run: 0, // number of the current start; an older loop sees that it is over
  /** @type {keyof typeof sources} */
  source: "camera", // what it was started with, one of `sources`
  reopened: false, // since the last new picture
  settled: false, // the frozen frame has its answer
  explain: -1,
  latency: 0, // ms of the newest answer
  lastAnswer: 0,
  lastFace: 0,
};

/** Numbers begin anew, but not within a recording, where another face would continue the curve. */
function forgetFaces() {
  stage.people.clear(Math.max(0, ...recorder.session.faces));
}

const setState = (state) => controls.show(state, clock.frozen);

function showNote(sentence) {
  if (note.textContent !== sentence) note.textContent = sentence;
  note.hidden = !sentence;
}

/** @type {Record<string, () => Promise<void>>} */
const sources = {
  camera: () => camera.open(),
  switch: () => camera.next(),
  clip: () => camera.play(section.dataset.clip),
};

/** @param {string} source one of `sources` @returns {Promise<true | undefined>} whether it runs */
async function start(source = "camera") {
  release();
  const { run } = view;
  setState("starting");
  showNote(say("starting"));
  offerWaysOut(false);
  try {
    await sources[source]();
  } catch (error) {
    if (run !== view.run) return;
    stop(source === "clip" ? clipProblem(error) : cameraProblem(error), true);
    return undefined;
  }
  if (run !== view.run) return;
  view.source = camera.isClip ? "clip" : "camera";
  section.dataset.source = view.source;
  stage.mirror(camera.mirrored);
  find("[data-do=mirror]").checked = camera.mirrored;
  await offerOtherCameras();
  if (run !== view.run) return;
  setState("running");
  showNote(source === "switch" && camera.name ? say("camera_now", { name: camera.name }) : say("waiting"));
  if (!(await where.ready(showNote))) return void (run === view.run && stop(where.problem));
  if (run !== view.run) return;
  questions.meetAnew();
  view.lastAnswer = view.lastFace = performance.now();
  loop(run);
  return true;
}

async function play() {
  if (await start("camera")) game.begin();
}

/** @param {unknown} error */
const clipProblem = (error) =>
  error instanceof Error && error.name === "DataError" ? "camera_scrambled" : "clip_missing";

async function offerOtherCameras() {
  find("[data-do=switch]").hidden = camera.isClip || (await cameras()).length < 2;
}

/** What else there is where no camera opened. @param {boolean} offered */
function offerWaysOut(offered) {
  for (const button of element.querySelectorAll(".em-way-out")) button.hidden = !offered;
}

/** End the current run, if any: its loop sees that it is over, its camera goes off. */
function release() {
  view.run++;
  camera.close();
  if (clock.frozen) clock.freeze();
  view.settled = false;
  pace.clear();
  find("[data-do=reopen]").hidden = true;
  forgetFaces();
  stage.show([], clock.now);
  why.forget();
}

function stop(reason = "", stuck = false) {
  const focused = section.dataset.state !== "idle" && section.contains(document.activeElement);
  release();
  game.end();
  recorder.pause();
  setState("idle");
  showNote(reason && say(reason));
  offerWaysOut(stuck);
  if (focused) find("[data-do=start]").focus();
}

function leave() {
  comeback.forget();
  stop();
}

async function loop(run) {
  while (run === view.run) {
    if (!element.isConnected || !section.offsetParent) return leave();
    if (document.hidden || (clock.frozen && view.settled)) {
      await sleep(100);
      camera.rest();
      pace.rest();
      view.lastAnswer = view.lastFace = performance.now();
      continue;
    }
    const fresh = clock.frozen || (await camera.picture(PICTURE_WITHIN));
    if (run !== view.run) return;
    if (!fresh) {
      missPictures();
      continue;
    }
    view.reopened = false;
    find("[data-do=reopen]").hidden = true;
    const began = performance.now();
    const { frozen } = clock;
    const { explain } = view;
    const { chosen } = stage.people;
    game.keep(video);
    const answer = await questions.ask(explain, why.due(frozen, view.latency));
    if (run !== view.run) return;
    if (answer?.lost) return stop(where.problem);
    const pause = acceptOrSay(answer);
    view.latency = performance.now() - began;
    if (!pause) pace.took(view.latency, where.engine);
    const same = explain === view.explain && chosen === stage.people.chosen;
    const unexplained = answer?.faces?.some((face) => face.id === chosen && !face.why);
    view.settled = frozen && same && !unexplained && !pause;
    await sleep(Math.max(pause, SHORTEST_GAP - (performance.now() - began), 0));
  }
}

/** No new picture came: say so, and open the camera anew where that can help. */
function missPictures() {
  if (camera.silence < NOTE_AFTER) return;
  interrupt("camera_silent");
  find("[data-do=reopen]").hidden = false;
  if (video.paused) video.play().catch(() => undefined); // the system paused it, and may allow it
  // Where a call or another page holds the camera, opening it anew gives the same; see `returned`.
  if (!camera.muted && camera.silence > REOPEN_AFTER) reopen();
}

/** Open the camera anew, once until it sends a picture. */
function reopen() {
  if (view.reopened || clock.frozen || section.dataset.state !== "running") return;
  view.reopened = true;
  start(view.source);
}

/** The visitor is back from a call, another window or sleep. */
function returned() {
  if (document.hidden || camera.silence < NOTE_AFTER) return;
  view.reopened = false;
  if (camera.muted) reopen();
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
    comeback.answered();
    if (answer.faces.length) view.lastFace = now;
    stage.show(answer.faces, clock.now, answer.count);
    why.show(answer.faces, clock.frozen);
    recorder.see(answer.faces);
    game.see(answer.faces);
    if (answer.faces.length) showNote("");
    else if (now - view.lastFace > NOTE_AFTER) showNote(say("live_no_face"));
    return 0;
  }
  if (answer?.busy) {
    if (now - view.lastAnswer > NOTE_AFTER) interrupt("live_busy");
    return Math.min(Math.max(answer.wait, 30), 1000) * (1 + Math.random() / 4);
  }
  if (!answer) comeback.prepare({ source: view.source, recording: recorder.runs });
  if ((!answer || answer.late) && now - view.lastAnswer > RESTARTED_AFTER) {
    questions.meetAnew();
    if (!answer) comeback.reloadIfBack(); // a server that is only late has not refused us
  }
  interrupt(answer?.error ?? (navigator.onLine ? "live_unreachable" : "live_offline"));
  return 1000;
}

/** Say why there are no answers; what the last one said is no longer true. */
function interrupt(reason) {
  stage.show([], clock.now);
  why.forget();
  showNote(say(reason));
  pace.clear();
}

function freeze() {
  clock.freeze();
  view.settled = false;
  if (clock.frozen) video.pause();
  else video.play().catch(() => stop("camera_lost"));
  setState(clock.frozen ? "frozen" : "running");
}

/** Another face or class was chosen. */
function explainAnew() {
  view.settled = false;
  why.forget();
}

/** Where to go without a camera. */
function openPhotoTab() {
  location.hash = "photo";
}

const actions = {
  start: () => start("camera"), clip: () => start("clip"), switch: () => start("switch"),
  reopen: () => start(view.source), stop: leave, freeze, save: () => download(stage.picture()),
  photo: openPhotoTab, play, game: () => game.begin(),
};
for (const button of element.querySelectorAll("button[data-do]"))
  if (actions[button.dataset.do]) button.addEventListener("click", actions[button.dataset.do]);
find("[data-do=explain]").addEventListener("change", (event) => {
  view.explain = Number(event.target.value);
  explainAnew();
});
find("[data-do=mirror]").addEventListener("change", ({ target }) => {
  camera.mirrored = target.checked;
  stage.mirror(camera.mirrored);
  stage.render();
});
document.addEventListener("visibilitychange", returned);
window.addEventListener("focus", returned);
window.addEventListener("pagehide", () => stop());
navigator.mediaDevices?.addEventListener?.("devicechange", offerOtherCameras);

stage.chosen = explainAnew;

translate(element);
setState("idle");
const before = comeback.read();
if (before?.recording) recorder.record();
if (before) start(before.source);
