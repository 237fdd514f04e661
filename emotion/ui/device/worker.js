// @ts-check
/**
 * The worker that looks at faces in the browser. The page sends {id, ask, ...} and gets {id, ...}:
 * open: fetch everything and try it; frame: faces of a camera frame; photo: of a picture;
 * cover: a crop with places covered. No message leaves the browser.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 */
import { finding, partMasks, smoothFill } from "./cover.js";
import { FetchError, Files } from "./files.js";
import { Pipeline, geometry, heat } from "./pipeline.js";
import { withoutAlpha } from "./pixels.js";
import { Tracker, judged } from "./tracker.js";

const TRIALS = 5; // frames of the self-test, after one that warms up
const MAX_FACES = 5; // of a frame, as on the server
const MAX_CARDS = 20;

/** @type {Pipeline} */
let pipeline;
/** @type {Record<string, any>} */
let numbers;
let tracker = { visitor: "", follows: /** @type {Tracker | null} */ (null) };

/** @type {Record<string, (request: any) => Promise<object>>} */
const answers = { open, frame, photo, cover };

self.addEventListener("message", async ({ data: { id, ask, ...request } }) => {
  try {
    self.postMessage({ id, ...(await answers[ask]({ id, ...request })) });
  } catch (error) {
    const key = error instanceof FetchError ? error.key : "device_failed";
    self.postMessage({ id, error: key, detail: String(error) });
  }
});

/**
 * Fetch runtime and networks, and try how fast they are here.
 * @param {{id: number, files: Record<string, import("./files.js").Entry>, threads: number}} request
 */
async function open({ id, files, threads }) {
  const { "ort.wasm.min.mjs": api, "ort-wasm-simd-threaded.mjs": glue, ...rest } = files;
  const fetched = new Files(rest, (share) => self.postMessage({ id, share }));
  const content = await fetched.all();
  const ort = await import(api.url).catch((error) => {
    throw new FetchError("device_broken_off", String(error));
  });
  Object.assign(ort.env.wasm, {
    numThreads: threads,
    wasmBinary: content["ort-wasm-simd-threaded.wasm"],
    wasmPaths: { mjs: glue.url },
  });
  ort.env.logLevel = "error";
  numbers = JSON.parse(new TextDecoder().decode(content["numbers.json"]));
  const session = (graph, tensors) =>
    ort.InferenceSession.create(content[graph], {
      executionProviders: ["wasm"],
      externalData: [{ path: tensors, data: content[tensors] }],
    });
  // One after the other: while one is made, its constants lie in memory twice.
  const detector = await session("retinaface-mobilenet025.onnx", "retinaface-mobilenet025.safetensors");
  const network = await session("model.onnx", "model.safetensors");
  pipeline = new Pipeline(
    {
      async detect({ data, width, height }) {
        const image = new ort.Tensor("uint8", data, [1, height, width, 3]);
        const { deltas, scores, points } = await detector.run({ image });
        return { deltas: deltas.data, scores: scores.data, points: points.data };
      },
      async classify(crops, count) {
        const { size } = numbers;
        const { features } = await network.run({
          crops: new ort.Tensor("uint8", crops, [count, size, size]),
        });
        return features.data;
      },
    },
    numbers,
  );
  return { kept: fetched.kept, pace: await selfTest(), threads: ort.env.wasm.numThreads };
}

/** @returns {Promise<number>} frames with one face a second */
async function selfTest() {
  const { frameSide, size } = numbers;
  const height = Math.round(frameSide * 0.75);
  const picture = { data: new Uint8Array(frameSide * height * 3), width: frameSide, height };
  const crop = Uint8Array.from({ length: size * size }, (_, at) => (at * 7) % 256);
  const took = [];
  for (let trial = 0; trial <= TRIALS; trial++) {
    const began = performance.now();
    await pipeline.analyze(picture, { maxSide: frameSide, maxFaces: MAX_FACES });
    await pipeline.classify([crop]);
    if (trial) took.push(performance.now() - began);
  }
  return 1000 / took.sort((one, other) => one - other)[TRIALS >> 1];
}

/**
 * Answer a camera frame as the server does, see ``emotion/ui/live.py``.
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
  return { faces, count, ms: performance.now() - began };
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
