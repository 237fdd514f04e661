// @ts-check
/**
 * A clip at the server: sent in pieces, asked about until all is there, kept while somebody looks at
 * it. It runs once, after sending.js and in its scope; emotion/ui/clip_routes.py answers.
 */
const PIECE = 2 * 1024 ** 2; // bytes
const ASK_EVERY = 700; // ms
const KEEP_EVERY = 30_000; // ms; the server forgets a clip that nobody asks about
const AGAIN_AFTER = 2000; // ms
const FAILURES = 4; // in a row that end it
const VISITOR_KEY = "emotion-visitor";

class SentClip {
  constructor() {
    this.name = ""; // at the server
    this.stopped = new AbortController();
  }

  /** Whether nobody wants it any more: late answers are dropped. */
  get ended() {
    return this.stopped.signal.aborted;
  }

  /** Where its copy with boxes is. */
  get copy() {
    return new URL(`video/${this.name}/copy.mp4`, document.baseURI).href;
  }

  /**
   * @param {File} file @param {(part: number) => void} told how much has arrived, 0..1
   * @throws {SendError}
   */
  async send(file, told) {
    const { signal } = this.stopped;
    const said = JSON.stringify({ size: file.size, visitor: clipVisitor() });
    const { status, json } = await request("POST", "video", said, { signal });
    if (status >= 400) throw new SendError(json?.key ?? "send_refused", json?.error);
    this.name = json.clip;
    if (this.ended) return this.end();
    for (let at = 0, failed = 0; at < file.size; ) {
      const piece = file.slice(at, at + PIECE);
      try {
        const { received } = await requestPatiently("POST", `video/${this.name}?at=${at}`, piece, {
          signal,
          type: "application/octet-stream",
          progress: (part) => told((at + part * piece.size) / file.size),
        });
        [at, failed] = [received, 0];
      } catch (error) {
        const refused = error instanceof SendError && !["photo_unreachable", "send_stalled"].includes(error.key);
        if (refused || this.ended || ++failed >= FAILURES) throw error;
        await sleep(AGAIN_AFTER);
      }
    }
  }

  /**
   * Ask what is new until all is there.
   * @param {() => string} after how much is known already, as the route wants it
   * @param {(answer: any) => void} told
   * @throws {SendError}
   */
  async follow(after, told) {
    for (let failed = 0; !this.ended; ) {
      let answer;
      try {
        const { signal } = this.stopped;
        answer = await requestPatiently("GET", `video/${this.name}?after=${after()}`, null, { signal });
        failed = 0;
      } catch (error) {
        const gone = error instanceof SendError && error.key === "video_gone";
        if (gone || this.ended || ++failed >= FAILURES) throw error;
        await sleep(AGAIN_AFTER);
        continue;
      }
      if (this.ended) return;
      if (answer.state === "failed") throw new SendError(answer.error, answer.detail);
      told(answer);
      if (answer.state === "done") return;
      await sleep(ASK_EVERY);
    }
  }

  /** Ask for it from time to time. @param {string} after @param {() => void} gone */
  async keep(after, gone) {
    while (!this.ended) {
      await sleep(KEEP_EVERY);
      if (this.ended) return;
      const answer = await request("GET", `video/${this.name}?after=${after}`, null).catch(() => undefined);
      if (answer?.status === 404) gone();
    }
  }

  end() {
    this.stopped.abort();
    if (this.name) request("POST", `video/${this.name}/end`, null).catch(() => undefined);
    this.name = "";
  }

  /** The same while the page is left, when only a beacon still arrives. */
  leave() {
    if (this.name) navigator.sendBeacon(new URL(`video/${this.name}/end`, document.baseURI));
    this.name = "";
    this.stopped.abort();
  }
}

/** A name for this browser, which sends one clip at a time. */
function clipVisitor() {
  const fresh = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("");
  const known = stored(VISITOR_KEY) ?? fresh;
  store(VISITOR_KEY, known);
  return known;
}

Object.assign(window.emotionPage, { SentClip });
