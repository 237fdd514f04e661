// @ts-check
/**
 * Fetching: with progress, and from the browser's own cache from the second time on.
 *
 * @typedef {{url: string, bytes: number}} Entry
 */
const CACHE = "emotion-device";

/** A download failed; `key` is a sentence of the page. */
export class FetchError extends Error {
  /** @param {string} key @param {string} detail */
  constructor(key, detail) {
    super(detail);
    this.key = key;
  }
}

export class Files {
  /** @param {Record<string, Entry>} entries @param {(share: number) => void} told 0..1 of all bytes */
  constructor(entries, told) {
    this.entries = entries;
    this.told = told;
    this.total = Object.values(entries).reduce((sum, { bytes }) => sum + bytes, 0);
    this.come = 0;
    this.kept = true; // whether the cache took everything
  }

  /** Fetch all of them. @returns {Promise<Record<string, Uint8Array>>} */
  async all() {
    const cache = await openCache();
    this.kept = cache !== undefined;
    if (cache) await this.forgetOthers(cache);
    const names = Object.keys(this.entries);
    const contents = await Promise.all(names.map((name) => this.one(this.entries[name], cache)));
    return Object.fromEntries(names.map((name, at) => [name, contents[at]]));
  }

  /** Files of other weights and earlier versions only take room. @param {Cache} cache */
  async forgetOthers(cache) {
    const own = new Set(Object.values(this.entries).map(({ url }) => url));
    for (const request of await cache.keys()) if (!own.has(request.url)) await cache.delete(request);
  }

  /** @param {Entry} entry @param {Cache | undefined} cache */
  async one({ url, bytes }, cache) {
    const known = await cache?.match(url).catch(() => undefined);
    if (known) {
      const content = new Uint8Array(await known.arrayBuffer());
      if (content.length === bytes) {
        this.count(bytes);
        return content;
      }
    }
    const content = await this.download(url, bytes);
    try {
      await cache?.put(url, new Response(/** @type {BodyInit} */ (content)));
    } catch {
      this.kept = false; // it is full; the next visit fetches again
    }
    return content;
  }

  /** @param {string} url @param {number} bytes @returns {Promise<Uint8Array>} */
  async download(url, bytes) {
    const response = await fetch(url).catch(() => undefined);
    if (!response) throw new FetchError("device_broken_off", url);
    if (response.status === 404) throw new FetchError("device_changed", url);
    if (!response.ok || !response.body) throw new FetchError("device_broken_off", url);
    const content = new Uint8Array(bytes);
    let at = 0;
    try {
      for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        content.set(value, at);
        at += value.length;
        this.count(value.length);
      }
    } catch {
      at = -1;
    }
    if (at !== bytes) throw new FetchError("device_broken_off", url);
    return content;
  }

  /** @param {number} bytes */
  count(bytes) {
    this.come += bytes;
    this.told(this.come / this.total);
  }
}

/** @returns {Promise<Cache | undefined>} undefined where the browser forbids it */
async function openCache() {
  try {
    return await caches.open(CACHE);
  } catch {
    return undefined;
  }
}
