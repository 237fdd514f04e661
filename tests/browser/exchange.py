"""A server of the test's own, inside the page: what it answers, and what it was asked."""

from __future__ import annotations

from playwright.sync_api import Page

from emotion.labels import LABELS

# Our server, and a clock that can be slowed down where a slow machine would take too long.
EXCHANGE = """
const real = performance.now.bind(performance);
let [shown, since, pace] = [0, 0, 1];
performance.now = () => shown + (real() - since) * pace;
window.setPace = (next) => { [shown, since, pace] = [performance.now(), real(), next]; };
window.exchange = { sent: [], underWay: 0, most: 0, delay: 0, answer: { faces: [], count: 0 } };
const fetched = window.fetch;
window.fetch = async (target, options) => {
  if (options?.method === "HEAD" && !window.exchange.answer) throw new TypeError("no connection");
  const { pathname, searchParams } = new URL(target.url ?? target, location.href);
  if (pathname !== "/frame") return fetched(target, options);
  const { exchange } = window;
  const { visitor, ...numbers } = Object.fromEntries(searchParams);
  const [explain, time, cover] = ["explain", "time", "cover"].map((name) => Number(numbers[name]));
  exchange.sent.push({ visitor, explain, time, cover, at: performance.now() / 1000 });
  exchange.most = Math.max(exchange.most, ++exchange.underWay);
  await new Promise((resolve) => setTimeout(resolve, exchange.delay));
  exchange.underWay--;
  if (!exchange.answer) throw new TypeError("no connection");
  return new Response(JSON.stringify(exchange.answer), {
    headers: { "content-type": "application/json" },
  });
};
"""

SURE = [0.8, 0.1, 0.04, 0.03, 0.02, 0.01]
UNDECIDED = [0.1, 0.3, 0.15, 0.26, 0.1, 0.09]
HEAT = {"cells": [255] * 64, "max": 0.1}


def face(id: int, x: float = 0.2, y: float = 0.3, side: float = 0.3, **said) -> dict:
    """A face of an answer: happy and sure, if nothing else is said."""
    probabilities = said.get("probabilities", SURE)
    return {
        "id": id,
        "box": [x, y, x + side, y + side],
        "place": [side, 0, 0, side, x, y],
        "probabilities": SURE,
        "answer": LABELS[probabilities.index(max(probabilities))],
        "explained": 0,
        "heat": HEAT,
        **said,
    }


def answer(page: Page, *faces: dict, **other) -> None:
    """Let the server answer so from now on, and wait until the page has shown it."""
    said = {"faces": faces, "count": len(faces), "ms": 1.0, **other}
    page.evaluate("(said) => { exchange.answer = said; }", said)
    settle(page)


def hold_when(page: Page, condition: str, *, pace: float = 0) -> None:
    """Wait until a condition of JavaScript holds; at that very moment stop the page's clock.

    What happens on that clock in the meantime would else depend on when the test hears of it.
    """
    page.wait_for_function(f"() => ({condition}) && (setPace({pace}), true)")


QUIET = """() => {
  const count = exchange.sent.length;
  if (exchange.underWay || count !== window.quiet?.count)
    window.quiet = { count, turns: 0, from: Date.now() };
  return ++quiet.turns > 20 && Date.now() - quiet.from > 500;
}"""
"""For half a second nothing was sent, and the page was not merely too busy to send it."""


def wait_until_quiet(page: Page) -> None:
    """Wait until nothing is under way and nothing comes after it."""
    page.evaluate("delete window.quiet")
    page.wait_for_function(QUIET)


def settle(page: Page) -> None:
    """Wait until two more frames were sent: the answer to the first of them is on the screen."""
    page.evaluate("window.before = exchange.sent.length")
    page.wait_for_function("exchange.sent.length >= before + 2")
