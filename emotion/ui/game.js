// @ts-check
/**
 * The mirror game: six prompts, the best frame of each, a card of six faces. The frames stay in this
 * page's memory. It runs once, after stage.js and in its scope.
 *
 * @typedef {{picture: HTMLCanvasElement, share: number, hit: boolean}} Shot
 *          share: probability of what was asked for; hit: whether nothing else was more probable
 */
const READY_FOR = 3000; // ms from a prompt to its turn
const SHOW_FOR = 4000; // ms in which the best frame is kept
const TICK = 50; // ms
const AROUND = 1.7; // side of a kept picture, in heights of the face's box
const SHOT_SIDE = 320; // px

class Game {
  /** @param {HTMLElement} element the Live tab's component @param {Stage} stage */
  constructor(element, stage) {
    this.stage = stage;
    const find = (this.find = (selector) => element.querySelector(selector));
    this.section = find(".em-live");
    this.board = find(".em-game");
    this.dialog = find(".em-score");
    this.frame = document.createElement("canvas"); // the picture that is being analysed
    this.kept = false; // whether it was taken in this round
    this.round = -1; // index of the class that is asked for; -1: nobody plays
    this.since = 0; // when the prompt came
    this.timer = 0;
    /** @type {(Shot | undefined)[]} */
    this.best = [];
    find("[data-do=game-end]").addEventListener("click", () => {
      this.end();
      find("[data-do=game]").focus();
    });
    find("[data-do=game-save]").addEventListener("click", () => download(find(".em-score canvas")));
    find("[data-do=game-again]").addEventListener("click", () => {
      this.dialog.close();
      this.begin();
    });
    find("[data-do=game-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      if (this.plays) return;
      this.best = [];
      find("[data-do=game]").focus();
    });
  }

  get plays() {
    return this.round >= 0;
  }

  /** Whether faces count now. */
  get counts() {
    return this.plays && performance.now() - this.since >= READY_FOR;
  }

  begin() {
    this.best = [];
    this.ask(0);
    clearInterval(this.timer);
    this.timer = setInterval(() => this.tick(), TICK);
    this.showBoard(true);
    this.find("[data-do=game-end]").focus();
  }

  end() {
    clearInterval(this.timer);
    this.round = -1;
    this.showBoard(false);
  }

  /** The prompt takes the place of the controls. @param {boolean} shown */
  showBoard(shown) {
    this.board.hidden = !shown;
    this.section.toggleAttribute("data-plays", shown);
  }

  /** @param {number} round */
  ask(round) {
    Object.assign(this, { round, since: performance.now(), kept: false });
    const prompt = this.find(".em-prompt");
    prompt.textContent = say("game_show", { label: nameOf(round) });
    prompt.style.setProperty("--accent", facts.colors[round]);
    this.show();
  }

  tick() {
    const passed = performance.now() - this.since;
    if (passed < READY_FOR + SHOW_FOR) return this.show();
    if (this.round + 1 < facts.labels.length) return this.ask(this.round + 1);
    this.end();
    this.finish();
  }

  show() {
    const { find } = this;
    const left = READY_FOR - (performance.now() - this.since);
    find(".em-count").textContent =
      left > 0 ? String(Math.ceil(left / 1000)) : `${percent(this.best[this.round]?.share ?? 0)} %`;
    find(".em-game progress").value = left > 0 ? 0 : Math.min(1, -left / SHOW_FOR);
    this.board.classList.toggle("em-counts", left <= 0);
  }

  /** The picture of this moment goes to be analysed. @param {HTMLVideoElement} video */
  keep(video) {
    if (!this.counts) return;
    this.frame.width = video.videoWidth;
    this.frame.height = video.videoHeight;
    this.frame.getContext("2d").drawImage(video, 0, 0);
    this.kept = true;
  }

  /** That picture's faces came back. @param {(Face & {id: number})[]} faces */
  see(faces) {
    if (!this.kept) return;
    this.kept = false;
    const face = faces.find(({ id }) => id === this.stage.people.chosen);
    if (!face?.box) return;
    const { probabilities } = face;
    const share = probabilities[this.round];
    if (share <= (this.best[this.round]?.share ?? -1)) return;
    const hit = strongest(probabilities) === this.round;
    this.best[this.round] = { picture: this.cut(face.box), share, hit };
  }

  /** Cut a square around a box out of the frame, as it was seen. @param {number[]} box */
  cut([x0, y0, x1, y1]) {
    const { frame } = this;
    const picture = document.createElement("canvas");
    picture.width = picture.height = SHOT_SIDE;
    const context = picture.getContext("2d");
    const side = Math.min((y1 - y0) * frame.height * AROUND, frame.width, frame.height);
    const within = (middle, most) => Math.max(0, Math.min(middle - side / 2, most - side));
    const left = within(((x0 + x1) / 2) * frame.width, frame.width);
    const top = within(((y0 + y1) / 2) * frame.height, frame.height);
    if (this.stage.mirrored) context.transform(-1, 0, 0, 1, SHOT_SIDE, 0);
    context.drawImage(frame, left, top, side, side, 0, 0, SHOT_SIDE, SHOT_SIDE);
    return picture;
  }

  finish() {
    const canvas = this.find(".em-score canvas");
    drawScore(canvas, this.best);
    canvas.setAttribute("aria-label", scoreSentence(this.best));
    this.dialog.showModal();
  }
}

/** @param {(Shot | undefined)[]} best */
const hits = (best) => say("game_score", { count: best.filter((shot) => shot?.hit).length });

/** What a tile of the card says. @param {Shot | undefined} shot @param {number} label */
const tileWords = (shot, label) =>
  `${nameOf(label)} ${shot ? `${percent(shot.share)} %` : `– ${say("game_no_face")}`}`;

/** The card in a sentence. @param {(Shot | undefined)[]} best */
const scoreSentence = (best) =>
  [hits(best), ...facts.labels.map((_, label) => tileWords(best[label], label))].join(", ");

/**
 * Draw the card of six faces; it is meant to be saved, so it is light in either colour scheme.
 * @param {HTMLCanvasElement} canvas @param {(Shot | undefined)[]} best
 */
function drawScore(canvas, best) {
  const [gap, head, words, foot] = [30, 150, 66, 70];
  canvas.width = 3 * SHOT_SIDE + 4 * gap;
  canvas.height = head + 2 * (SHOT_SIDE + words + gap) + foot;
  const context = canvas.getContext("2d");
  const write = (said, x, y, font, color = "#1d1c1a") => {
    context.font = `${font} system-ui, sans-serif`;
    context.fillStyle = color;
    context.fillText(said, x, y);
  };
  context.fillStyle = "#f8f7f5";
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(say("game_title"), gap, 72, "700 46px");
  write(hits(best), gap, 118, "400 30px", "#5d5953");
  facts.labels.forEach((_, label) => {
    const shot = best[label];
    const x = gap + (label % 3) * (SHOT_SIDE + gap);
    const y = head + Math.floor(label / 3) * (SHOT_SIDE + words + gap);
    context.fillStyle = "#e3e0db";
    context.fillRect(x, y, SHOT_SIDE, SHOT_SIDE);
    if (shot) context.drawImage(shot.picture, x, y);
    context.fillStyle = facts.colors[label];
    context.fillRect(x, y + SHOT_SIDE, SHOT_SIDE, 8);
    write(tileWords(shot, label), x, y + SHOT_SIDE + 46, `${shot?.hit ? 700 : 400} 26px`);
  });
  write(say("name"), gap, canvas.height - 32, "400 24px", "#5d5953");
}

Object.assign(window.emotionPage, { Game });
