// @ts-check
/**
 * The worker that looks at faces in the browser. The page sends {id, ask, ...} and gets {id, ...}:
 * open: fetch everything and try it; frame: faces of a camera frame; photo: of a picture;
 * cover: a crop with places covered. No message leaves the browser.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 */
import { finding, partMasks, smoothFill } from "./cover.js";
import { Engine } from "./engine.js";
import { FetchError, Files } from "./files.js";
import { faster, hasGraphics, withSpare } from "./graphics.js";
import { Pipeline, geometry, heat } from "./pipeline.js";
import { withoutAlpha } from "./pixels.js";
import { Tracker, judged } from "./tracker.js";
import { MAX_FACES, trial } from "./trial.js";

const MAX_CARDS = 20;

/** @type {Pipeline} */
let pipeline;
/** @type {Record<string, any>} */
let numbers;
let offered = false; // whether the graphics processor was asked
let fallen = 0; // pace of the processor, once the graphics processor is lost
let tracker = { visitor: "", follows: /** @type {Tracker | null} */ (null) };

/** @type {Record<string, (request: any) => Promise<object>>} */
const answers = { open, frame, photo, cover };

self.addEventListener("message", async ({ data: { id, ask, ...request } }) => {
  try {
    self.postMessage({ id, ...(await answers[ask]({ id, ...request })) });
  } catch (error) {
    const key = error instanceof FetchError ? error.key : "device_failed";
    self.postMessage({ id, error: key, detail: String(error), offered });
  }
});

/**
 * Fetch runtime and networks, and try how fast they are here.
 * @param {{id: number, files: Record<string, import("./files.js").Entry>, threads: number,
 *          runtimes: Record<"plain" | "graphics", import("./engine.js").Runtime>,
 *          graphs: Record<"plain" | "graphics", string[]>, graphics: boolean}} request graphs: what
 *        each runtime runs; graphics: whether a graphics processor may be used
 */
async function open({ id, files, threads, runtimes, graphs, graphics }) {
  offered = graphics && (await hasGraphics());
  const kind = offered ? "graphics" : "plain";
  const [runtime, graph] = [runtimes[kind], graphs[kind]];
  const wanted = { ...files };
  // The browser fetches scripts by itself when they are imported.
  const own = [runtime.wasm, ...graph];
  for (const name of [...Object.values(runtimes), ...Object.values(graphs)].flatMap(Object.values))
    if (!own.includes(name)) delete wanted[name];
  const fetched = new Files(wanted, (share) => self.postMessage({ id, share }));
  const content = await fetched.all();
  numbers = JSON.parse(new TextDecoder().decode(content["numbers.json"]));
  const urls = { api: files[runtime.api].url, glue: files[runtime.glue].url };
  const network = { content, graph, size: numbers.size };
  const engine = await Engine.start(urls, content[runtime.wasm], threads, network);
  const networks = await engine.networks("wasm");
  const { kept } = fetched;
  const measured = await trial(networks, numbers);
  const better = offered ? await faster(engine, measured, numbers) : null;
  const answered = better
    ? withSpare(better.networks, networks, () => (fallen = measured.pace))
    : networks;
  pipeline = new Pipeline(answered, numbers);
  const { pace } = better ?? measured;
  return { kept, pace, threads: engine.threads, graphics: better !== null };
}

/**
 * Answer a camera frame as the server does, see ``emotion/ui/frames.py``.
 * @param {{pixels: ArrayBuffer, width: number, height: number, explain: number, visitor: string,
 *          time: number, cover: number}} request
 */
async function frame({ pixels, width, height, explain, visitor, time, cover }) {
  const began = performance.now();
  const picture = withoutAlpha(new Uint8ClampedArray(pixels), width, height);
  if (!tracker.follows || tracker.visitor !== visitor)
    tracker = { visitor, follows: new Tracker(numbers) };
  // As on the server, a sentence is worth both views.
  const known = cover ? [] : tracker.follows.known(time);
  const how = { maxSide: numbers.frameSide, maxFaces: MAX_FACES, known };
  const { results, found } = await pipeline.analyze(picture, how);
  const tracked = tracker.follows.update(results, time);
  const faces = [];
  for (const face of tracked) {
    const explained = explain >= 0 ? explain : strongest(face.probabilities);
    const { id, answer, settled } = face;
    const told = { ...shown(face, picture), id, answer, settled, explained };
    faces.push({ ...told, heat: heat(face.cams, explained, numbers.network.grid) });
    if (id === cover) {
      const tests = await coverTest(/** @type {any} */ (face));
      const found = tests && finding(tests.answers, explain >= 0 ? explain : null, numbers);
      Object.assign(faces[faces.length - 1], { finding: found ?? { kind: "unaligned" } });
    }
  }
  const count = found - results.length + tracked.length;
  return { faces, count, ms: performance.now() - began, fallen };
}

/** What both kinds of pictures say of a face. */
function shown(face, picture) {
  const { probabilities, sure, reason, calm, answer } = judged(face, numbers);
  const place = geometry(face, picture, numbers.size);
  return { ...place, probabilities: Array.from(probabilities), sure, reason, calm, answer };
}

/** @param {ArrayLike<number>} values */
const strongest = (values) => Array.from(values).indexOf(Math.max(...Array.from(values)));

/** Cover each part of a face: its answer as it is, and without each part. */
async function coverTest(face) {
  const masks = partMasks(face, numbers);
  if (!masks) return null;
  const crops = masks.map((mask) => smoothFill(face.crop, mask, numbers.size, numbers.cover));
  return { masks, answers: await pipeline.classify([face.crop, ...crops]) };
}

/**
 * Answer a photo.
 * @param {{pixels: ArrayBuffer, width: number, height: number, detect: boolean}} request
 */
async function photo({ pixels, width, height, detect }) {
  const picture = withoutAlpha(new Uint8ClampedArray(pixels), width, height);
  const { results, found } = detect
    ? await pipeline.analyze(picture, { maxSide: null, maxFaces: MAX_CARDS })
    : await pipeline.analyzeWhole(picture);
  const faces = [];
  for (const face of results) {
    const test = await coverTest(face);
    const findings = [null, ...numbers.labels.keys()].map((index) =>
      test ? finding(test.answers, index, numbers) : { kind: "unaligned" },
    );
    const heats = numbers.labels.map((_, index) => heat(face.cams, index, numbers.network.grid));
    const parts = test && test.masks.map(packed);
    faces.push({ ...shown(face, picture), crop: face.crop, heats, findings, parts });
  }
  return { faces, count: found };
}

/** A bit per pixel in rows, base64, as the server packs a mask. @param {Uint8Array} mask */
function packed(mask) {
  const bytes = new Uint8Array(mask.length / 8);
  mask.forEach((bit, at) => (bytes[at >> 3] |= bit << (7 - (at & 7))));
  return btoa(String.fromCharCode(...bytes));
}

/** Classify a crop with places covered. @param {{crop: Uint8Array, mask: Uint8Array}} request */
async function cover({ crop, mask }) {
  const covered = smoothFill(crop, mask, numbers.size, numbers.cover);
  const [answer] = await pipeline.classify([covered]);
  const { probabilities, answer: told } = judged({ ...answer, reason: null }, numbers);
  return { crop: covered, probabilities: Array.from(probabilities), answer: told };
}
