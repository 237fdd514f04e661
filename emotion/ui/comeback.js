// @ts-check
/**
 * A server that was started anew refuses the calls of the old page: reload it, and go on as before.
 * It runs once, after common.js.
 *
 * @typedef {{source: string, recording: boolean}} Before     what ran when the server went away
 */
const COMEBACK_KEY = "emotion-live-lost";
const COMEBACK_WITHIN = 300_000; // ms

class Comeback {
  constructor() {
    this.known = false; // whether this server has ever answered this page
  }

  answered() {
    this.known = true;
    this.forget();
  }

  /** Remember over a reload that somebody watched. @param {Before} before */
  prepare(before) {
    store(COMEBACK_KEY, JSON.stringify({ ...before, at: Date.now() }), "sessionStorage");
  }

  forget() {
    store(COMEBACK_KEY, undefined, "sessionStorage");
  }

  /** @returns {Before | undefined} what was prepared, if that was a moment ago */
  read() {
    const { source, recording, at } = storedValues(COMEBACK_KEY, "sessionStorage");
    return Date.now() - at < COMEBACK_WITHIN ? { source, recording } : undefined;
  }

  /** A server that is there but refuses our calls was started anew; only its own page knows it. */
  async reloadIfBack() {
    if (!this.known) return; // reloading did not help, or we never knew each other
    const page = await fetch(location.href, { method: "HEAD" }).catch(() => undefined);
    if (page?.ok) location.reload();
  }
}

Object.assign(window.emotionPage, { Comeback });
