// @ts-check
/**
 * What stands around the tabs: their addresses, the language and the colours of the page. Gradio runs
 * this with `element` (the component).
 */
const {
  language, say, sleep, store, stored, translate, showColours, system, tabOfAddress, TABS,
} = window.emotionPage;

const TRIES = 40;
const TRY_EVERY = 100; // ms
const tabOf = (name) => document.getElementById(`${name}-tab-button`);

/** Open the tab that the address names; when the page is new, Gradio is still making its tabs. */
async function follow() {
  const name = tabOfAddress();
  if (!name) return;
  for (let tries = 0; tries < TRIES; tries++) {
    tabOf(name)?.click();
    await sleep(TRY_EVERY);
    if (tabOf(name)?.getAttribute("aria-selected") === "true") return;
  }
}

/** Gradio names its tabs in the browser's language, which need not be the chosen one. */
function nameTabs() {
  for (const name of TABS) {
    const tab = tabOf(name);
    const words = say(`tab_${name}`);
    if (tab && tab.textContent.trim() !== words) tab.textContent = words;
  }
}

const [languages, themes] = ["language", "theme"].map((name) => element.querySelector(`[data-do=${name}]`));
languages.value = language;
languages.addEventListener("change", () => {
  store("emotion-language", languages.value);
  location.reload();
});
themes.value = stored("emotion-theme") ?? "auto";
themes.addEventListener("change", () => {
  store("emotion-theme", themes.value);
  showColours();
});
if (themes.value !== "auto") showColours();
// Gradio follows the system, too; ours comes after it.
system.addEventListener("change", () => setTimeout(showColours));

document.addEventListener("click", ({ target }) => {
  const tab = /** @type {Element} */ (target).closest?.("[role=tab]");
  const name = TABS.find((one) => tab?.id === `${one}-tab-button`);
  if (name) history.replaceState(history.state, "", `#${name}`);
});
window.addEventListener("hashchange", follow);
translate(element);
follow().then(nameTabs);
