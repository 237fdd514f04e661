// @ts-check
/**
 * The page until Gradio has made its tabs: the Live tab works, and what is pressed besides is done as
 * soon as it can be. It runs once, in the scope of common.js; see emotion/ui/early.py.
 */
const LONGEST_WAIT = 2000; // ms for the pictures of the first view
const BREATH = 100; // ms to draw it in, and to answer whoever is quick
const TABS = ["live", "photo", "video", "about"];
const system = matchMedia("(prefers-color-scheme: dark)");

/** Show the colours that the visitor chose, or else those of the address (as Gradio reads it) or the system. */
function showColours() {
  const chosen = stored("emotion-theme") ?? "auto";
  const asked = new URLSearchParams(location.search).get("__theme");
  const theme = chosen === "auto" && asked ? asked : chosen;
  document.body.classList.toggle("dark", theme === "dark" || (theme !== "light" && system.matches));
}

/** The tab that the address names, or "". */
const tabOfAddress = () => TABS.find((name) => location.hash === `#${name}`) ?? "";

/** Let Gradio begin, once what is seen first is there: it keeps a browser busy. */
function callGradio() {
  const entry = /** @type {HTMLLinkElement} */ (document.querySelector("[data-entry]"));
  if (!entry) return; // its page is another than we know, and began by itself
  const script = Object.assign(document.createElement("script"), { type: "module", src: entry.href });
  document.head.append(script);
}

/** Open the first view. @returns {HTMLElement} what the Live tab's script is given */
function begin() {
  const view = document.getElementById("early");
  const open = (name) => {
    view.dataset.open = name;
    for (const tab of view.querySelectorAll("[data-tab]"))
      tab.setAttribute("aria-current", String(tab.dataset.tab === name));
  };
  for (const tab of view.querySelectorAll("[data-tab]"))
    tab.addEventListener("click", () => { location.hash = tab.dataset.tab; });
  window.addEventListener("hashchange", () => open(tabOfAddress() || "live"));
  open(tabOfAddress() || "live");
  translate(view);
  const loaded = new Promise((resolve) => window.addEventListener("load", resolve));
  Promise.race([loaded, sleep(LONGEST_WAIT)]).then(() => sleep(BREATH)).then(callGradio);
  return view.querySelector("#live");
}

/** Gradio's tabs are there: move the Live tab into its own. @param {any} place */
function arrive(place) {
  const view = document.getElementById("early");
  const live = view.querySelector("#live");
  live.removeAttribute("id"); // it is Gradio's from here on
  const focused = /** @type {HTMLElement} */ (document.activeElement);
  const tab = focused.dataset.tab ?? "";
  if (place.moveBefore) place.moveBefore(live, null); // a video plays on, and the focus stays
  else place.append(live);
  view.remove();
  if (live.contains(focused)) focused.focus({ preventScroll: true });
  else if (tab) document.getElementById(`${tab}-tab-button`)?.focus({ preventScroll: true });
}

showColours();
Object.assign(window.emotionPage, { TABS, arrive, begin, showColours, system, tabOfAddress });
