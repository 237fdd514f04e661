// @ts-check
/**
 * The network on this device: a worker that fetches it once and sends nothing. It runs once, after
 * common.js and in its scope.
 */
const FRAME_PATIENCE = 6; // s; less than the Live tab waits, so that it hears what happened
const PHOTO_PATIENCE = 20; // s; a photo of many faces takes a few
const MOST_THREADS = 4;

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

Object.assign(window.emotionPage, { device });
