"""Plots of what domain adaptation decided, from the log of a run and the table of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion.labels import COLORS, LABELS
from train.plots import INK, QUIET, styled, to_svg

Line = dict[str, Any]

_MARKERS = "os^D"
_STATES = {"accepted": "#009E73", "rejected": "#D55E00"}


def plot_shards(log: Sequence[Line]) -> bytes:
    """Draw every shard by relevance: filled if accepted, a row per class, a marker per corpus.

    Args:
        log: lines of ``domains.jsonl``.

    Returns:
        An SVG file.
    """
    shards = [line for line in log if line["event"] == "shard"]
    states = {line["group"]: line["state"] for line in log if line["event"] == "group"}
    corpora = list(dict.fromkeys(shard["corpus"] for shard in shards))
    largest = max((shard["images"] for shard in shards), default=1)

    def draw(axes: Axes) -> None:
        for shard in shards:
            corpus = corpora.index(shard["corpus"])
            color = COLORS[shard["label"]]
            accepted = states.get(shard["group"]) == "accepted"
            axes.scatter(
                shard["relevance"],
                LABELS.index(shard["label"]) + 0.25 * (corpus - (len(corpora) - 1) / 2),
                s=20 + 180 * shard["images"] / largest,
                marker=_MARKERS[corpus % len(_MARKERS)],
                facecolor=color if accepted else "none",
                edgecolor=color,
            )
        for corpus, marker in zip(corpora, cycle(_MARKERS), strict=False):
            axes.scatter([], [], marker=marker, color=INK, label=corpus)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_yticks(range(len(LABELS)), LABELS)
        axes.invert_yaxis()
        axes.set_xlabel("relevance (filled: accepted; area: number of faces)")
        axes.legend(frameon=False)

    return _svg(draw, 7, 4)


def plot_trials(logs: Mapping[int, Sequence[Line]]) -> bytes:
    """Draw what each trial changed, with its 95 % interval, in the order of the trials.

    Args:
        logs: seed -> lines of ``domains.jsonl``.

    Returns:
        An SVG file.
    """
    trials = [
        {**line, "seed": seed}
        for seed, log in logs.items()
        for line in log
        if line["event"] == "group" and line["state"] in _STATES
    ]

    def draw(axes: Axes) -> None:
        for row, trial in enumerate(trials):
            change = trial["trial"] - trial["control"]
            axes.plot(trial["interval"], [row, row], color=_STATES[trial["state"]])
            axes.plot(change, row, "o", color=_STATES[trial["state"]])
        names = [
            f"seed {t['seed']}, {t['corpus']} ≥ {t['threshold']:g} "
            f"({t['images']} faces): {t['state']}"
            for t in trials
        ]
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_yticks(range(len(trials)), names)
        axes.invert_yaxis()
        axes.set_xlabel("macro F1 on the target, with the group less without")

    return _svg(draw, 7, 1.2 + 0.35 * len(trials))


def plot_study(rows: Sequence[Line]) -> bytes:
    """Draw the mean macro F1 of every arm of the study, a dot for each seed.

    Args:
        rows: of the study's table.

    Returns:
        An SVG file.
    """

    def draw(axes: Axes) -> None:
        for row, arm in enumerate(rows):
            scores = arm["scores"]
            axes.barh(row, np.mean(scores), color="#56B4E9")
            axes.plot(scores, [row] * len(scores), "o", color=INK, markersize=4)
        axes.set_yticks(range(len(rows)), [arm["name"] for arm in rows])
        axes.invert_yaxis()
        axes.set_xlabel("macro F1, mean of the validation splits")

    return _svg(draw, 7, 1.2 + 0.4 * len(rows))


def _svg(draw: Callable[[Axes], None], width: float, height: float) -> bytes:
    with styled("domains"):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        return to_svg(figure)
