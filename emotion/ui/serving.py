"""The analyzer that answers now, and the card of the About tab that renews its weights."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import gradio as gr
import numpy as np

import emotion
from emotion.analyzer import FRAME_SIDE, Analyzer
from emotion.errors import EmotionError, WeightsError
from emotion.ui import markup
from emotion.ui.gate import BusyError, Gate
from emotion.ui.strings import text
from emotion.ui.wire import JSON
from emotion.weights import default_spec, for_visitors, load

if TYPE_CHECKING:
    from emotion.weights import Loaded

_PAUSE = 10.0
"""Seconds between two looks for newer weights; any visitor may ask for one."""

_log = logging.getLogger(__name__)


class Serves(Protocol):
    """Hands out the analyzer that answers now; a request that has begun keeps the one it took."""

    @property
    def analyzer(self) -> Analyzer:
        """The analyzer that answers now."""


class Serving:
    """Serves an analyzer until newer weights are there."""

    def __init__(
        self, analyzer: Analyzer, asked: str | None = None, deployment: Path | None = None
    ) -> None:
        """Serve an analyzer.

        Args:
            analyzer: answers at first.
            asked: SPEC that was asked for, which need not be what runs; None for the default.
            deployment: ``space.yaml``, which may name that default.
        """
        warm_up(analyzer)
        self._analyzer = analyzer
        self._asked = asked
        self._deployment = deployment
        self._looking = threading.Lock()
        self._looked = -_PAUSE

    @property
    def analyzer(self) -> Analyzer:
        """The analyzer that answers now; a request takes it once, and is finished by it."""
        return self._analyzer

    def renew(self, gate: Gate) -> bool:
        """Load what was asked for again; if it is another network by now, it answers from here on.

        Args:
            gate: the first analysis of a new network waits for its turn there.

        Returns:
            Whether another network answers now.

        Raises:
            WeightsError: if it cannot be had, in words for visitors; what ran goes on running.
            BusyError: if somebody else has just looked.
        """
        if not self._looking.acquire(blocking=False):
            raise BusyError
        try:
            if time.monotonic() - self._looked < _PAUSE:
                raise BusyError
            self._looked = time.monotonic()
            loaded = self._load()
            if _is_same(loaded, self._analyzer.source):
                self._analyzer.source = loaded  # the Hub may be there again
                return False
            newer = Analyzer.from_loaded(loaded)
            with gate.enter():
                warm_up(newer)
            self._analyzer = newer
            return True
        finally:
            self._looking.release()

    def _load(self) -> Loaded:
        spec = self._asked
        try:
            spec = default_spec(self._deployment) if spec is None else spec
            return load(spec)
        except WeightsError as error:
            raise WeightsError(for_visitors(error, spec)) from None


def _is_same(loaded: Loaded, source: Loaded | None) -> bool:
    """Compare what was loaded; a calibration changes the config and not the tensors."""
    if source is None or loaded.network.config != source.network.config:
        return False
    facts = ("spec", "revision", "digest")
    return all(getattr(loaded, name) == getattr(source, name) for name in facts)


def warm_up(analyzer: Analyzer) -> None:
    """Run everything once, so that the first visitor does not wait for lazy initialisation."""
    blank = np.zeros((240, 320, 3), np.uint8)
    analyzer.analyze(blank, max_side=FRAME_SIDE, exact=False)
    analyzer.analyze(blank)
    analyzer.analyze(blank, detect=False)


def weights_name(facts: JSON) -> str:
    """Name what runs, without the server's folders; a branch with the commit that it led to."""
    name, revision = str(facts["weights"]), facts["revision"]
    if not name.startswith("hf://"):
        return Path(name).name
    return name if not revision or name.endswith(revision) else f"{name} ({revision[:12]})"


def weights_card(serving: Serving, gate: Gate) -> gr.HTML:
    """Build the card that says which weights run, and looks for newer ones."""
    return gr.HTML(
        value=weights_markup(serving.analyzer),
        js_on_load=markup.read("weights.js"),
        server_functions=[renewal(serving, gate)],
        apply_default_css=False,
        elem_id="weights",
    )


def renewal(serving: Serving, gate: Gate) -> Callable[[object], JSON]:
    """Return the server function behind the button.

    It answers with ``{"said": key of strings.json, "weights": name, "notice": sentence or null}``,
    and ``"detail"`` where an error has more to say. It never raises.
    """

    def renew_weights(_payload: object = None) -> JSON:
        answer: JSON
        try:
            answer = {"said": "weights_renewed" if serving.renew(gate) else "weights_same"}
        except BusyError:
            answer = {"said": "weights_busy"}
        except EmotionError as error:
            answer = {"said": "weights_kept", "detail": str(error)}
        except Exception:
            _log.exception("the weights could not be renewed")
            answer = {"said": "internal"}
        facts = serving.analyzer.description
        return {**answer, "weights": weights_name(facts), "notice": facts["notice"]}

    return renew_weights


def weights_markup(analyzer: Analyzer) -> str:
    """Return the content of the card as HTML."""
    facts = analyzer.description
    notice = facts["notice"] or ""
    return f"""
<section class="em-card em-weights">{text("runs", "h2")}
  <dl class="em-facts">
    <div>{text("status_weights", "dt")}<dd data-weights>{escape(weights_name(facts))}</dd></div>
    <div>{text("status_engine", "dt")}<dd>{escape(str(facts["engine"]))}</dd></div>
    <div>{text("status_version", "dt")}<dd>{escape(emotion.__version__)}</dd></div></dl>
  <p data-notice{"" if notice else " hidden"}>{escape(notice)}</p>
  <button type="button" class="em-button">{text("weights_look")}</button>
  <p class="em-quiet" role="status"></p>
</section>"""
