// @ts-check
/**
 * Who answers: this device, or the server. It runs once, after own_device.js and in its scope.
 */
const DEVICE_PACE = 10; // answers a second from which on the device is the default
const LOOK_EVERY = 60_000; // ms between two looks whether the server has other weights
const WHERE_KEY = "emotion-where";

/** What was chosen and measured before. @returns {{choice?: string, pace?: number}} */
const rememberedPlace = () => storedValues(WHERE_KEY);

/** @param {{choice?: string, pace?: number}} news */
const rememberPlace = (news) => storeValues(WHERE_KEY, news);

/** The choice of the Live tab, and what it asks. */
class Where {
  /** @param {HTMLElement} section the Live tab's */
  constructor(section) {
    this.problem = ""; // key of the sentence for what failed last
    const find = (selector) => section.querySelector(selector);
    this.radios = [...section.querySelectorAll(".em-where input")];
    this.lines = [...section.querySelectorAll("[data-where]")];
    // On the picture, since settings may be folded away: a lock, and how much is fetched.
    this.badge = document.createElement("p");
    this.badge.className = "em-here";
    this.badge.append(find("[data-where] svg").cloneNode(true), say("where_device"));
    this.progress = document.createElement("progress");
    this.progress.className = "em-fetching";
    this.progress.setAttribute("aria-label", say("device_loading"));
    this.progress.hidden = true;
    find(".em-stage").append(this.badge, this.progress);
    this.lacking = Device.lacks();
    const { choice } = rememberedPlace();
    this.chosen = choice !== undefined; // by the visitor, who is asked before it changes
    this.here = this.byDefault();
    for (const radio of this.radios)
      radio.addEventListener("click", () => this.choose(radio.value === "device"));
    this.show();
    Device.manifest().then((manifest) => {
      this.lacking ||= manifest?.reason ?? "";
      if (this.lacking) this.here = false;
      this.show();
    });
    setInterval(() => this.look(), LOOK_EVERY);
  }

  /** Say if the server has other weights than those that answer here; the next start takes them. */
  async look() {
    if (!this.here || !device.worker || document.hidden) return;
    const { network } = (await Device.manifest()) ?? {};
    if (!network || network === device.network || !device.worker || device.opening) return;
    this.problem = "device_renewed";
    this.show();
  }

  /** Whether this device answers where nothing else was chosen. */
  byDefault() {
    const { choice, pace } = rememberedPlace();
    if (this.lacking) return false;
    if (choice) return choice === "device";
    const { connection } = /** @type {any} */ (navigator);
    return !connection?.saveData && (pace === undefined || pace >= DEVICE_PACE);
  }

  /** @param {boolean} here */
  choose(here) {
    Object.assign(this, { here, chosen: true, problem: "" });
    rememberPlace({ choice: here ? "device" : "server" });
    if (!here) device.close();
    this.show();
  }

  /** Say where pictures go, and what failed. */
  show() {
    for (const radio of this.radios) {
      radio.checked = (radio.value === "device") === this.here;
      if (radio.value === "device") radio.disabled = Boolean(this.lacking);
    }
    const reason = this.lacking || this.problem;
    this.badge.hidden = !this.here;
    const place = say(this.here ? "where_device_line" : "where_server_line");
    for (const line of this.lines) {
      line.classList.toggle("em-locked", this.here);
      line.lastElementChild.textContent = reason ? `${say(reason)} ${place}` : place;
    }
  }

  /**
   * Make sure that somebody answers: fetch and try the network if this device is to.
   * @param {(sentence: string) => void} told what is done meanwhile
   * @returns {Promise<boolean>} false: the visitor, who chose the device, is to choose again
   */
  async ready(told) {
    if (!this.here) return true;
    const failed = await device.open((share) => {
      this.progress.hidden = false;
      this.progress.value = share;
      told(say(share < 1 ? "device_loading" : "device_trying"));
    });
    this.progress.hidden = true;
    if (failed) return this.fail(failed);
    rememberPlace({ pace: device.pace });
    if (!this.chosen && device.pace < DEVICE_PACE) return this.fail("device_slow");
    this.problem = device.kept ? "" : "device_not_kept";
    this.show();
    return true;
  }

  /** The server takes over, unless the visitor chose the device. @param {string} key */
  fail(key) {
    this.problem = key;
    if (!this.chosen) this.here = false;
    if (!this.here) device.close();
    this.show();
    return !this.here;
  }

  /** Go on without the graphics processor, in the way that is fast enough. @param {number} pace */
  fall(pace) {
    Object.assign(device, { pace, graphics: false });
    if (pace < DEVICE_PACE) this.fail("device_no_graphics");
    this.problem = "device_no_graphics";
    this.show();
  }

  /** What runs, for the line below the picture; undefined: the server's. */
  get engine() {
    if (this.here) return say(device.graphics ? "where_engine_graphics" : "where_engine");
  }

  /**
   * Have a frame answered.
   * @param {HTMLCanvasElement} canvas the picture @param {{explain: number, visitor: string,
   *        time: number, cover: number}} request
   * @returns {Promise<any>} see ``emotion/ui/frames.py``; {lost: true} if the visitor is to choose
   */
  async answer(canvas, request) {
    if (!this.here) return sendFrame(canvas, request);
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data.buffer;
    const answer = await device.ask("frame", { pixels, width, height, ...request }, [pixels]);
    if (!answer.error) {
      for (const face of answer.faces) if (face.finding) face.why = findingSentence(face.finding);
      if (answer.fallen && device.graphics) this.fall(answer.fallen);
      return answer;
    }
    console.warn(answer.detail);
    return this.fail(answer.error) ? { busy: true, wait: 30 } : { lost: true };
  }
}

/** The sentence of a cover test. @param {any} found see ``emotion/cover.py`` */
function findingSentence({ kind, part, label, other, before, after }) {
  return say(`cover_${kind}`, {
    part: part ? say(part) : "",
    label: label ? say(label) : "",
    other: other ? say(other) : "",
    before: Math.round(100 * before),
    after: Math.round(100 * after),
  });
}

Object.assign(window.emotionPage, { Where });
