"""Plots of a preparation report: statistics only, never a face."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion.labels import COLORS, LABELS
from train.report import EYE_DISTANCES, GREY_LEVELS, CorpusReport

_INK, _QUIET = "#1b1f24", "#8c959f"


def plot_corpus(corpus: CorpusReport) -> str:
    """Draw class counts, detection rates, eye distances and grey levels of one corpus.

    Returns:
        An ``<svg>`` element for embedding in HTML; the same report gives the same text.
    """
    # A fixed salt makes the ids in the SVG, and so the report, repeatable.
    with mpl.rc_context({"svg.hashsalt": corpus.name, "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 2.6), layout="constrained")
        counts, rates, eyes, grey = figure.subplots(1, 4)
        split = max(corpus.counts, key=lambda s: corpus.total(s) if s != "other" else 0)
        names = [name for name in LABELS if name in corpus.counts[split]]
        colors = [COLORS[name] for name in names]
        counts.barh(names, [corpus.counts[split][name] for name in names], color=colors)
        _finish(counts, f"images in {split}", invert=True)
        rates.barh(names, [100 * corpus.found[split][name] for name in names], color=colors)
        rates.set_xlim(80, 100)
        rates.set_yticklabels([])
        _finish(rates, "% faces found", invert=True)
        _histogram(eyes, EYE_DISTANCES, corpus.eye_distances, "eye distance, px")
        _histogram(grey, GREY_LEVELS, corpus.grey_levels, "mean grey level of the crop")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    described = re.sub(
        r"<svg ", f'<svg role="img" aria-label="Statistics of {corpus.name}" ', svg, count=1
    )
    return described[described.index("<svg") :]


def _histogram(axes: Axes, edges: tuple[int, ...], values: list[int], title: str) -> None:
    axes.stairs(values, edges, fill=True, color=_QUIET)
    axes.set_yticks([])
    _finish(axes, title)


def _finish(axes: Axes, title: str, *, invert: bool = False) -> None:
    if invert:
        axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=9, color=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.locator_params(axis="x", nbins=4)
