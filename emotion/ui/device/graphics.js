// @ts-check
/**
 * The graphics processor: whether there is one, whether it is worth it, and what is done without it.
 *
 * @typedef {import("./pipeline.js").Networks} Networks
 * @typedef {import("./trial.js").Trial} Trial
 */
import { agree, trial } from "./trial.js";

const FOUND_WITHIN = 5000; // ms
const PATIENCE = 30_000; // ms for the self-test; making its programs takes a second or two
const TIMES = 2; // as long as on the processor: no use to go on

/** Whether the build for graphics processors runs here and finds one that is no program. */
export async function hasGraphics() {
  const { gpu } = /** @type {any} */ (navigator);
  if (!gpu || !("Suspending" in WebAssembly)) return false;
  try {
    const asked = gpu.requestAdapter({ powerPreference: "high-performance" });
    const adapter = await soon(asked, FOUND_WITHIN);
    return adapter !== null && !adapter.info.isFallbackAdapter;
  } catch {
    return false;
  }
}

/**
 * Try both networks on the graphics processor, with the frames of the self-test.
 * @param {import("./engine.js").Engine} engine @param {Trial} measured on the processor
 * @param {Record<string, any>} numbers
 * @returns {Promise<{networks: Networks, pace: number} | null>} null: it is slower, says something
 *          else, or fails
 * @throws {Error} if it does not answer; then nothing else in this worker will
 */
export function faster(engine, measured, numbers) {
  const tried = offer(engine, measured, numbers).catch((error) => {
    console.warn(String(error));
    return null;
  });
  return soon(tried, PATIENCE);
}

/** Wait for so many ms at most. @template T @param {Promise<T>} promise @returns {Promise<T>} */
async function soon(promise, most) {
  let late = 0;
  const patience = new Promise((_, reject) => {
    const error = new Error("the graphics processor does not answer");
    late = self.setTimeout(() => reject(error), most);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(late);
  }
}

/** @param {import("./engine.js").Engine} engine @param {Trial} measured */
async function offer(engine, measured, numbers) {
  const networks = await engine.networks("webgpu");
  const tried = await trial(networks, numbers, (TIMES * 1000) / measured.pace);
  if (tried.pace > measured.pace && agree(tried, measured)) return { networks, pace: tried.pace };
  await networks.release();
  return null;
}

/**
 * Networks on the graphics processor until a run fails there, and on the processor from then on.
 * @param {Networks} graphics @param {Networks} processor @param {() => void} told that it failed
 * @returns {Networks}
 */
export function withSpare(graphics, processor, told) {
  let now = graphics;
  /** @param {(networks: Networks) => Promise<any>} run */
  const safely = async (run) => {
    const used = now;
    try {
      return await run(used);
    } catch (error) {
      if (used === processor) throw error;
      if (now === graphics) told();
      now = processor;
      return run(processor);
    }
  };
  return {
    detect: (picture) => safely((networks) => networks.detect(picture)),
    classify: (crops, count) => safely((networks) => networks.classify(crops, count)),
  };
}
