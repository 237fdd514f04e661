// @ts-check
/**
 * What the browser keeps: choices for the next visit, and what must outlive a reload of this tab.
 * Storage may be forbidden or full; then what is kept here lasts as long as the page. It runs once,
 * before common.js and in its scope.
 *
 * @typedef {"localStorage" | "sessionStorage"} Place      for all visits, or for this tab alone
 */

/** @param {string} key @param {Place} [place] @returns {string | null} */
function stored(key, place = "localStorage") {
  try {
    return window[place].getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | undefined} value undefined: forget it @param {Place} [place] */
function store(key, value, place = "localStorage") {
  try {
    if (value === undefined) window[place].removeItem(key);
    else window[place].setItem(key, value);
  } catch {
    // Nobody can do anything about it.
  }
}

/** Several values under one key. @param {string} key @param {Place} [place] @returns {Record<string, any>} */
function storedValues(key, place) {
  try {
    return JSON.parse(stored(key, place) ?? "null") ?? {};
  } catch {
    return {};
  }
}

/** @param {string} key @param {Record<string, any>} changes */
const storeValues = (key, changes) =>
  store(key, JSON.stringify({ ...storedValues(key), ...changes }));
