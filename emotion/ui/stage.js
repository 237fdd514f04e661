// @ts-check
/**
 * What lies over the live video and beside it: heat maps and boxes, a button per face, and the bars
 * and the timeline of the chosen face. It runs once, after people.js and strip.js.
 */
const TIMELINE_EVERY = 250; // ms
const ANNOUNCE_EVERY = 2000; // ms

class Stage {
  /** @param {HTMLElement} element the Live tab's component */
  constructor(element) {
    const find = (this.find = (selector) => element.querySelector(selector));
    this.area = find(".em-stage");
    this.video = find("video");
    this.canvas = find(".em-stage canvas");
    this.timeline = find(".em-timeline canvas");
    const choose = (id) => this.choose(id);
    this.targets = new Targets(find(".em-targets"), choose);
    this.strip = new Strip(find(".em-strip"), choose);
    this.chosen = () => undefined; // called when somebody chose a face
    this.announcer = find("[data-announce]");
    this.people = new People();
    this.faces = [];
    this.count = 0;
    this.mirrored = true;
    const [heat, spotlight, group] = [true, true, false];
    this.look = { heat, spotlight, group, opacity: 0.75, selected: 0, source: this.video };
    this.announced = 0; // when screen readers were told last
    this.said = ""; // what they were told
    this.timelineDrawn = 0;
    find("[data-do=heat]").addEventListener("change", ({ target }) => {
      this.look.heat = target.checked;
      this.draw();
    });
    find("[data-do=spotlight]").addEventListener("click", ({ currentTarget }) => {
      this.look.spotlight = find(".em-live").classList.toggle("em-spot", press(currentTarget));
      this.draw();
    });
    find("[data-do=opacity]").addEventListener("input", ({ target }) => {
      this.look.opacity = target.value / 100;
      this.draw();
    });
    this.video.addEventListener("resize", () => {
      const ratio = this.video.videoWidth / this.video.videoHeight;
      find(".em-live").style.setProperty("--ratio", String(ratio));
    });
    new ResizeObserver(() => this.draw()).observe(this.area);
    new ResizeObserver(() => this.drawMinute()).observe(this.timeline);
  }

  /** @param {boolean} mirrored whether the camera looks at the visitor, who expects a mirror */
  mirror(mirrored) {
    this.mirrored = mirrored;
    this.video.classList.toggle("em-mirrored", mirrored);
  }

  /**
   * @param {(Face & {id: number})[]} faces the largest first @param {number} now in seconds
   * @param {number} [count] of faces in view
   */
  show(faces, now, count = faces.length) {
    this.count = count;
    this.faces = this.people.update(faces, now, this.mirrored);
    this.render();
  }

  /** @param {number} id */
  choose(id) {
    this.people.chosen = id;
    this.chosen();
    this.render();
  }

  render() {
    const { faces, find, people } = this;
    this.look.selected = faces.findIndex((face) => face.id === people.chosen);
    const face = people.shown;
    const many = faces.length > 1;
    const { name, share, detail } = face
      ? verdict(face)
      : { name: say("panel_waiting"), share: "", detail: say("panel_soon") };
    find(".em-face-name").textContent = many && face ? say("face_n", { n: face.number }) : name;
    find(".em-winner").textContent = many && face ? `${name} ${share}`.trim() : share;
    find(".em-detail").textContent = detail;
    find(".em-panel").classList.toggle("em-many", many);
    fillBars(find(".em-bars"), face);
    this.showEverybody();
    this.draw();
    if (performance.now() - this.timelineDrawn > TIMELINE_EVERY) this.drawMinute();
    this.announce();
  }

  drawMinute() {
    this.timelineDrawn = performance.now();
    const seconds = Math.round(drawTimeline(this.timeline, this.people));
    this.find("[data-text=timeline_start]").textContent = say("timeline_start", { seconds });
    this.drawThumbnails();
  }

  drawThumbnails() {
    const { faces, look, mirrored, strip, video } = this;
    const { videoWidth: width, videoHeight: height } = video;
    if (look.group) strip.draw(faces, video, { width, height, mirrored });
  }

  /** A button over each face, so that it can be chosen by hand and by keyboard; a strip of many. */
  showEverybody() {
    const { faces, find, look, mirrored, people, strip, targets } = this;
    // Who is missed in one answer must not make the page jump.
    const group = (look.group = faces.length > 1 && isGroup([...people.known]));
    const stays = (id) => people.known.has(id);
    targets.show(faces, look.selected, stays);
    targets.cover(faces, mirrored, group);
    const shown = strip.buttons.size;
    strip.show(group ? faces : [], look.selected, (id) => group && stays(id));
    if (group) strip.write(faces);
    if (strip.buttons.size > shown) this.drawThumbnails();
    find(".em-group").hidden = !group;
    find(".em-summary").textContent = group ? groupSummary(faces, this.count) : "";
  }

  /** Tell screen readers the chosen face's label, not more often than they can say it. */
  announce() {
    const { announcer, faces, people } = this;
    const now = performance.now();
    const face = people.shown;
    if (!face) this.said = "";
    if (!face || now - this.announced < ANNOUNCE_EVERY) return;
    this.announced = now;
    this.targets.label(faces);
    this.strip.label(faces);
    this.timeline.setAttribute("aria-label", timelineSentence(people));
    const said = `${face.number} ${face.answer}`; // a number that moves is no news
    if (said !== this.said) announcer.textContent = spoken(face);
    this.said = said;
  }

  draw() {
    const { canvas, faces, look, mirrored } = this;
    const unit = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * unit);
    canvas.height = Math.round(canvas.clientHeight * unit);
    const { width, height } = canvas;
    drawFaces(canvas.getContext("2d"), faces, { width, height, mirrored, unit }, look);
  }

  /** @returns {HTMLCanvasElement} the picture as it is seen, in the camera's own size */
  picture() {
    const { faces, look, mirrored, video } = this;
    const canvas = document.createElement("canvas");
    const width = (canvas.width = video.videoWidth);
    const height = (canvas.height = video.videoHeight);
    const context = canvas.getContext("2d");
    if (mirrored) context.transform(-1, 0, 0, 1, width, 0);
    context.drawImage(video, 0, 0);
    context.resetTransform();
    const unit = width / this.area.clientWidth;
    drawFaces(context, faces, { width, height, mirrored, unit }, look);
    return canvas;
  }
}

Object.assign(window.emotionPage, { Stage });
