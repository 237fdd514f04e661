// @ts-check
/**
 * ONNX Runtime in the browser, and both networks in it.
 *
 * @typedef {import("./pipeline.js").Networks} Networks
 * @typedef {Record<"api" | "glue" | "wasm", string>} Runtime  its parts: names, or where they are
 */
import { FetchError } from "./files.js";

const DETECTOR = ["retinaface-mobilenet025.onnx", "retinaface-mobilenet025.safetensors"];

export class Engine {
  /**
   * Start a runtime.
   * @param {{api: string, glue: string}} urls @param {Uint8Array} wasm @param {number} threads
   * @param {{content: Record<string, Uint8Array>, graph: string[], size: number}} network content of
   *        graphs and tensors; name of the expression network's graph, and of its constants if they
   *        lie outside; side of a crop
   */
  static async start({ api, glue }, wasm, threads, network) {
    const ort = await import(api).catch((error) => {
      throw new FetchError("device_broken_off", String(error));
    });
    Object.assign(ort.env.wasm, { numThreads: threads, wasmBinary: wasm, wasmPaths: { mjs: glue } });
    ort.env.logLevel = "error";
    return new Engine(ort, network);
  }

  /** @param {any} ort @param {{content: Record<string, Uint8Array>, graph: string[], size: number}} network */
  constructor(ort, { content, graph, size }) {
    this.ort = ort;
    this.content = content;
    this.graph = graph;
    this.size = size;
    /** @type {Promise<any>} */
    this.last = Promise.resolve();
  }

  /** That the networks run in. @returns {number} */
  get threads() {
    return this.ort.env.wasm.numThreads;
  }

  /**
   * Make both networks.
   * @param {"wasm" | "webgpu"} provider the processor, or the graphics processor
   * @returns {Promise<Networks & {release: () => Promise<void>}>}
   */
  async networks(provider) {
    const { Tensor, InferenceSession } = this.ort;
    const session = (/** @type {string[]} */ [graph, ...outside]) =>
      InferenceSession.create(this.content[graph], {
        executionProviders: [provider],
        externalData: outside.map((path) => ({ path, data: this.content[path] })),
      });
    // One after the other: while one is made, its constants lie in memory twice.
    const detector = await session(DETECTOR);
    const network = await session(this.graph);
    return {
      detect: ({ data, width, height }) =>
        this.inTurn(async () => {
          const image = new Tensor("uint8", data, [1, height, width, 3]);
          const { deltas, scores, points } = await detector.run({ image });
          return { deltas: deltas.data, scores: scores.data, points: points.data };
        }),
      classify: (crops, count) =>
        this.inTurn(async () => {
          const shape = [count, this.size, this.size];
          const { features } = await network.run({ crops: new Tensor("uint8", crops, shape) });
          return features.data;
        }),
      release: async () => {
        await detector.release();
        await network.release();
      },
    };
  }

  /**
   * One run after another: two that wait for the graphics processor would share a stack.
   * @template T @param {() => Promise<T>} run @returns {Promise<T>}
   */
  inTurn(run) {
    const turn = this.last.then(run, run);
    this.last = turn;
    return turn;
  }
}
