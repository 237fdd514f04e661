"""Plots of a preparation report: statistics only, never a face."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from emotion.labels import COLORS, LABELS
from train.corpora import OTHER
from train.corpora.published import TRAINING_SPLIT
from train.faces.report import HISTOGRAMS, CorpusReport
from train.plots import QUIET, styled, to_svg

_HELD_OUT = 0.45  # opacity


def plot_corpus(corpus: CorpusReport) -> str:
    """Draw six statistics of one corpus.

    Returns:
        An ``<svg>`` element for embedding in HTML; the same report gives the same text.
    """
    with styled(corpus.name):
        layout = ConstrainedLayoutEngine(hspace=0.12, wspace=0.06)
        figure = Figure(figsize=(10, 4.6), layout=layout)
        panels = list(figure.subplots(2, 3).flat)
        _plot_counts(panels[0], corpus)
        _plot_misses(panels[3], corpus)
        for axes, (name, edges) in zip(
            (panels[1], panels[2], panels[4], panels[5]), HISTOGRAMS.items(), strict=True
        ):
            _plot_histogram(axes, edges, corpus.histograms[name], name)
        svg = to_svg(figure, transparent=True).decode()
    described = f'<svg role="img" aria-label="Statistics of {escape(corpus.name)}" '
    return described + svg[svg.index("<svg ") + len("<svg ") :]


def _plot_counts(axes: Axes, corpus: CorpusReport) -> None:
    train = [corpus.counts.get(TRAINING_SPLIT, {}).get(name, 0) for name in LABELS]
    total = [sum(corpus.counts[s].get(name, 0) for s in _splits(corpus)) for name in LABELS]
    held_out = [a - b for a, b in zip(total, train, strict=True)]
    colors = [COLORS[name] for name in LABELS]
    axes.barh(LABELS, train, color=colors)
    bars = axes.barh(LABELS, held_out, left=train, color=colors, alpha=_HELD_OUT)
    axes.bar_label(bars, [f"{count:,}" for count in total], padding=3, fontsize=8)
    _finish_bars(axes, "images (pale: held out)")


def _plot_misses(axes: Axes, corpus: CorpusReport) -> None:
    shares = []
    for name in LABELS:
        splits = [s for s in _splits(corpus) if name in corpus.counts[s]]
        total = sum(corpus.counts[s][name] for s in splits)
        missed = sum(corpus.counts[s][name] * (1 - corpus.found[s][name]) for s in splits)
        shares.append(100 * missed / max(total, 1))
    bars = axes.barh(LABELS, shares, color=[COLORS[name] for name in LABELS])
    axes.bar_label(bars, [f"{share:.1f} %" for share in shares], padding=3, fontsize=8)
    axes.set_xlim(0, max(5.0, *shares))
    _finish_bars(axes, "face not found")


def _splits(corpus: CorpusReport) -> list[str]:
    return [split for split in corpus.counts if split != OTHER]


def _finish_bars(axes: Axes, title: str) -> None:
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_xlim(0, 1.2 * axes.get_xlim()[1])  # room for the numbers
    axes.spines["bottom"].set_visible(False)
    _finish(axes, title)


def _plot_histogram(axes: Axes, edges: Sequence[float], values: Sequence[int], title: str) -> None:
    axes.stairs(values, edges, fill=True, color=QUIET)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=5)
    _finish(axes, title)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
