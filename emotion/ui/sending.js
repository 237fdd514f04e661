// @ts-check
/**
 * Requests that may take long: with progress, an end when nothing moves, and a way to stop them.
 * It runs once, after common.js and in its scope.
 *
 * @typedef {{progress?: (part: number) => void, signal?: AbortSignal, type?: string,
 *            answerWithin?: number}} Sending
 *          part: of the body that is on its way, 0..1
 */
const STALLED_AFTER = 20_000; // ms without a byte that leaves
const ANSWER_WITHIN = 90_000; // ms from the last byte to the answer
const FRAME_QUALITY = 0.75; // of a camera frame
const TRIES = 6; // of a request that the server has no time for
const TRY_AGAIN_AFTER = 1500; // ms, and longer each time

/** Ends a request; `key` is the sentence that says why. */
class SendError extends Error {
  /**
   * @param {string} key of strings.json @param {string} [detail] English sentence of the server
   * @param {Record<string, string | number>} [values] of the sentence
   */
  constructor(key, detail = "", values = {}) {
    super(detail || key);
    this.key = key;
    this.detail = detail;
    this.values = values;
  }
}

/**
 * Ask one of the server's own routes.
 * @param {string} method @param {string} path below the page's address @param {XMLHttpRequestBodyInit | null} body
 * @param {Sending} [how]
 * @returns {Promise<{status: number, json: any}>}
 */
function request(method, path, body, how = {}) {
  const { progress, signal, type, answerWithin } = how;
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    let timer = 0;
    const within = (milliseconds, key) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        reject(new SendError(key));
        call.abort();
      }, milliseconds);
    };
    const end = (settle) => () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      settle();
    };
    const stop = () => call.abort();
    call.upload.onprogress = ({ loaded, total }) => {
      within(STALLED_AFTER, "send_stalled");
      progress?.(total ? loaded / total : 0);
    };
    call.upload.onload = () => {
      within(answerWithin ?? ANSWER_WITHIN, "send_no_answer");
      progress?.(1);
    };
    call.onload = end(() => {
      notice(call.getResponseHeader("x-page"));
      resolve({ status: call.status, json: parsed(call.responseText) });
    });
    call.onerror = end(() => reject(new SendError("photo_unreachable")));
    call.onabort = end(() => reject(new SendError("send_cancelled")));
    call.open(method, new URL(path, document.baseURI));
    if (type) call.setRequestHeader("content-type", type);
    if (signal?.aborted) return reject(new SendError("send_cancelled"));
    signal?.addEventListener("abort", stop);
    within(STALLED_AFTER, body ? "send_stalled" : "send_no_answer");
    call.send(body);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether the server has no time for it now. @param {number} status */
const isBusy = (status) => status === 429 || status === 503;

/**
 * The same until the server has time for it.
 * @param {string} method @param {string} path @param {XMLHttpRequestBodyInit | null} body
 * @param {Sending} [how]
 */
async function requestPatiently(method, path, body, how = {}) {
  for (let tries = 1; ; tries++) {
    const answer = await request(method, path, body, how);
    const { status, json } = answer;
    if (status < 400) return json;
    if (!isBusy(status)) throw new SendError(json?.key ?? "send_refused", json?.error);
    if (tries >= TRIES) throw new SendError("photo_busy");
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_AFTER * tries));
  }
}

/**
 * Call a function of one of Gradio's components, as `server` does, but with progress and an end.
 * @param {string} tab id of the component @param {string} name of the function
 * @param {object} payload @param {Sending} [how]
 */
async function callServer(tab, name, payload, how) {
  const config = /** @type {any} */ (window).gradio_config;
  const part = config.components.find(({ props }) => props.elem_id === tab);
  const call = { component_id: part.id, fn_name: name, session_hash: "page", data: payload };
  const body = JSON.stringify(call);
  const type = "application/json";
  const { status, json } = await request(
    "POST", "gradio_api/component_server/", body, { ...how, type },
  );
  if (status < 400) return json;
  throw new SendError(isBusy(status) ? "photo_busy" : "send_refused", json?.error);
}

/**
 * Have the server answer a camera frame.
 * @param {HTMLCanvasElement} canvas the picture @param {object} said what goes with it
 * @returns {Promise<any>} see ``emotion/ui/frames.py``; undefined: refused
 */
async function sendFrame(canvas, said) {
  // Not toBlob: browsers put that off while the page is busy, by up to a second.
  const jpeg = atob(canvas.toDataURL("image/jpeg", FRAME_QUALITY).split(",")[1]);
  const query = new URLSearchParams({ ...said, language });
  const answer = await fetch(new URL(`frame?${query}`, document.baseURI), {
    method: "POST",
    headers: { "content-type": "image/jpeg" },
    body: Uint8Array.from(jpeg, (letter) => letter.charCodeAt(0)),
  });
  notice(answer.headers.get("x-page"));
  if (answer.ok) return answer.json();
  return isBusy(answer.status) ? { busy: true, wait: TRY_AGAIN_AFTER } : undefined;
}

/** The sentence for a request that failed. @param {unknown} error */
function failure(error) {
  if (!(error instanceof SendError)) return say("photo_unreachable");
  const { key, detail, values } = error;
  if (language !== "en" || !detail) return say(key, values);
  return detail[0].toUpperCase() + detail.slice(1);
}

/**
 * A page that was opened before the server got newer code asks for functions that are not there any
 * more; it says so instead of failing in some other way.
 * @param {string | null} now what the server's pages are called
 */
function notice(now) {
  if (!now || now === facts.page || document.querySelector(".em-renewed")) return;
  const note = document.createElement("p");
  note.className = "em-renewed";
  note.setAttribute("role", "alert");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = say("renewed_reload");
  button.addEventListener("click", () => location.reload());
  document.body.prepend(note);
  note.append(`${say("renewed")} `, button);
}

async function lookForNewer() {
  const answer = await fetch(new URL(".", document.baseURI), { method: "HEAD" }).catch(() => null);
  if (answer?.ok) notice(answer.headers.get("x-page"));
}

// Whoever comes back to a tab after a while is told before anything fails.
const LOOKED_AWAY = 30_000; // ms
let left = Infinity;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) left = Date.now();
  else if (Date.now() - left > LOOKED_AWAY) lookForNewer();
});

Object.assign(window.emotionPage, { SendError, request, requestPatiently, callServer, sendFrame, failure, lookForNewer });
