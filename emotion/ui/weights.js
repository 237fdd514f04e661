// @ts-check
/**
 * The weights' card in the About tab. Gradio runs this with `element` (the component), `server`
 * (our functions) and `watch`. The card's content is replaced when the page loads, so the button is
 * found anew at every click.
 */
const { say, translate } = window.emotionPage;

/** Put what runs now where the page says it. */
function show({ weights, notice }) {
  element.querySelector("[data-weights]").textContent = weights;
  for (const place of [element.querySelector("[data-notice]"), document.querySelector("#header .em-notice")])
    if (place) {
      place.textContent = notice ?? "";
      place.toggleAttribute("hidden", !notice);
    }
}

async function renew(button) {
  const note = element.querySelector("[role=status]");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true"); // a disabled one would lose the focus
  note.textContent = say("weights_looking");
  try {
    const answer = await server.renew_weights({});
    show(answer);
    note.textContent = [say(answer.said), answer.detail].filter(Boolean).join(" ");
  } catch {
    note.textContent = say("weights_silent");
  }
  button.removeAttribute("aria-disabled");
}

translate(element);
watch("value", () => translate(element));
element.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (button) renew(button);
});
