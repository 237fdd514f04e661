// @ts-check
/**
 * Who answers: this device, in a worker that sends nothing, or the server. It runs once, before the
 * tabs and in the scope of common.js.
 */
const DEVICE_PACE = 10; // answers a second from which on the device is the default
const FRAME_PATIENCE = 6; // s; less than the Live tab waits, so that it hears what happened
const PHOTO_PATIENCE = 20; // s; a photo of many faces takes a few
const LOOK_EVERY = 60_000; // ms between two looks whether the server has other weights
const WHERE_KEY = "emotion-where";
const MOST_THREADS = 4;
const PHOTO_SIDE = 4096; // px of the copy of a photo that is looked at
const SHOWN_PHOTO = 1280; // px of the copy that is drawn

// The smallest module with an instruction on 128 bits: valid only where those are known.
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
);

/** The network in a worker: one for all tabs, fetched when it is first needed. */
class Device {
  constructor() {
    /** @type {Worker | null} */
    this.worker = null;
    this.network = ""; // whose weights the worker has
    this.pace = 0; // answers a second, of the self-test
    this.kept = true; // whether the browser keeps the files
    this.threads = 1; // that the network runs in
    this.graphics = false; // whether it runs on the graphics processor
    this.last = 0; // number of the newest question
    /** @type {Map<number, {settle: (answer: any) => void, told?: (share: number) => void}>} */
    this.asked = new Map();
    /** @type {Promise<string> | null} */
    this.opening = null;
  }

  /** Why this browser cannot do it, a key of the strings; or "". */
  static lacks() {
    if (typeof Worker === "undefined") return "device_no_worker";
    if (typeof WebAssembly === "undefined" || !WebAssembly.validate(SIMD)) return "device_no_simd";
    return "";
  }

  /** Where the page's own files are, whatever path a proxy serves it under. @param {string} path */
  static address(path) {
    const root = /** @type {any} */ (window).gradio_config?.root ?? location.href;
    const { pathname } = new URL(root, location.href);
    return new URL(`${pathname.replace(/\/?$/, "/")}device/${path}`, location.origin).href;
  }

  /** What there is to fetch; undefined without a server. @returns {Promise<any>} */
  static async manifest() {
    const answer = await fetch(Device.address("manifest.json")).catch(() => undefined);
    return answer?.ok ? answer.json() : undefined;
  }

  /**
   * Have the network that serves now ready.
   * @param {(share: number) => void} told how much is fetched, 0..1
   * @returns {Promise<string>} "", or the key of the sentence that says what failed
   */
  open(told) {
    this.opening ??= this.prepare(told).finally(() => (this.opening = null));
    return this.opening;
  }

  /** @param {(share: number) => void} told */
  async prepare(told) {
    const lacking = Device.lacks();
    if (lacking) return lacking;
    for (const again of [true, false]) {
      const manifest = await Device.manifest();
      if (manifest?.reason) return manifest.reason;
      if (this.worker && (!manifest || manifest.network === this.network)) return "";
      if (!manifest) return "device_broken_off";
      const failed = await this.launch(manifest, told);
      if (failed !== "device_changed" || !again) return failed;
    }
  }

  /** How many threads are worth it: one core is left to the page. */
  static threads() {
    const cores = navigator.hardwareConcurrency || 1;
    return window.crossOriginIsolated ? Math.max(1, Math.min(MOST_THREADS, cores - 1)) : 1;
  }

  /** @param {any} manifest @param {(share: number) => void} told */
  async launch(manifest, told, how = { threads: Device.threads(), graphics: true }) {
    this.close();
    const { files, runtimes, graphs, network } = manifest;
    const entries = Object.entries(files).map(([name, { url, bytes }]) => [
      name, { url: Device.address(url), bytes },
    ]);
    const { "worker.js": script, ...fetched } = Object.fromEntries(entries);
    try {
      this.worker = new Worker(script.url, { type: "module" });
    } catch {
      return "device_no_worker";
    }
    this.worker.addEventListener("message", ({ data }) => this.hear(data));
    this.worker.addEventListener("error", () => this.close());
    const answer = await this.post("open", { files: fetched, runtimes, graphs, ...how }, [], told);
    if (answer.error) {
      console.warn(answer.detail);
      this.close();
      if (answer.error !== "device_failed") return answer.error;
      if (answer.offered) return this.launch(manifest, told, { ...how, graphics: false });
      if (how.threads > 1) return this.launch(manifest, told, { threads: 1, graphics: false });
      return "device_not_started";
    }
    const { pace, kept, threads, graphics } = answer;
    Object.assign(this, { network, pace, kept, threads, graphics });
    return "";
  }

  /** @param {any} data */
  hear({ id, share, ...answer }) {
    const question = this.asked.get(id);
    if (share !== undefined) return question?.told?.(share);
    this.asked.delete(id);
    question?.settle(answer);
  }

  /**
   * Ask the worker. One that ended, or does not answer, is let go of.
   * @param {string} ask @param {object} request @param {Transferable[]} [given] handed over
   * @returns {Promise<any>} the answer, or {error: key}; never rejects
   */
  async ask(ask, request, given = []) {
    if (!this.worker) return { error: "device_failed" };
    let left = ask === "frame" ? FRAME_PATIENCE : PHOTO_PATIENCE;
    // Second by second: while a tab in the background stands still, so do its timers.
    const patience = setInterval(() => --left < 0 && this.close(), 1000);
    const answer = await this.post(ask, request, given);
    clearInterval(patience);
    return answer;
  }

  /** @returns {Promise<any>} */
  post(ask, request, given = [], told = undefined) {
    const id = ++this.last;
    return new Promise((settle) => {
      this.asked.set(id, { settle, told });
      this.worker.postMessage({ id, ask, ...request }, given);
    });
  }

  /** Let go of the network and its memory; whoever waits is told. */
  close() {
    this.worker?.terminate();
    this.worker = null;
    for (const { settle } of this.asked.values()) settle({ error: "device_failed", detail: "ended" });
    this.asked.clear();
  }
}

const device = new Device();

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

Object.assign(window.emotionPage, { Where, device });
