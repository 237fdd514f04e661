"""The figures of the results, from the numbers that were measured."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from emotion.errors import DataError
from emotion.evaluation import Evaluation
from emotion.labels import COLORS, LABELS
from train.plots import INK, QUIET, styled, to_svg
from train.scoring.metrics import RECALLS

# Each class and each corpus has a line style or marker too: colours vanish in print.
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)))
_MARKERS = "os^Dv"


def render(
    results: Sequence[Evaluation], history: Sequence[dict[str, Any]], kind: str = "svg"
) -> dict[str, bytes]:
    """Draw all figures that there are numbers for; the same numbers give the same bytes.

    Args:
        results: as ``train.scoring.results.collect`` returns them, may be empty.
        history: lines of a run's ``log.jsonl``, may be empty.
        kind: ``svg`` or ``png``.

    Returns:
        Name of the file -> its content.

    Raises:
        DataError: if the numbers are not those of this version.
    """
    figures = draw_results(results)
    if history:
        figures["learning-curves"] = draw_learning_curves(history)
    return {f"{name}.{kind}": _render(figure, kind) for name, figure in figures.items()}


def draw_results(results: Sequence[Evaluation]) -> dict[str, Figure]:
    """Draw every kind of figure that results hold, one panel for each split.

    Args:
        results: as ``train.scoring.results.collect`` returns them.

    Returns:
        Name -> figure.

    Raises:
        DataError: if results lack what every evaluation has.
    """
    kinds: dict[str, tuple[str, Callable[[Axes, Evaluation], None], float]] = {
        "confusion": ("confusion", _plot_confusion, 4.1),
        "precision-recall": ("precision_recall", _plot_precision_recall, 3.9),
        "reliability": ("reliability", _plot_reliability, 3.9),
        "robustness": ("robustness", _plot_robustness, 4.6),
    }
    figures = {}
    try:
        for name, (key, plot, height) in kinds.items():
            shown = [result for result in results if getattr(result, key) is not None]
            if shown:
                figures[name] = _draw_panels(shown, plot, height)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"The results are not of this version ({error!r} is missing).") from None
    return figures


def _draw_panels(
    results: Sequence[Evaluation], plot: Callable[[Axes, Evaluation], None], height: float
) -> Figure:
    with _style():
        figure = Figure(figsize=(4.2 * len(results), height), layout="constrained")
        for axes, result in zip(
            figure.subplots(1, len(results), squeeze=False)[0], results, strict=True
        ):
            axes.set_title(_title(result, result.n), loc="left")
            plot(axes, result)
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _title(result: Evaluation, count: int) -> str:
    return f"{result.corpus} {result.split}, {count:,} faces"


def _plot_confusion(axes: Axes, result: Evaluation) -> None:
    confusion = np.array(result.confusion, float)
    support = confusion.sum(1)
    shares = confusion / np.maximum(support, 1)[:, None]
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else INK
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color)
    places = range(len(LABELS))
    axes.set_xticks(places, LABELS, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, [f"{name} ({n:,.0f})" for name, n in zip(LABELS, support, strict=True)])
    for place, name in enumerate(LABELS):
        for x, y in ((-0.62, place), (place, len(LABELS) - 0.38)):
            axes.plot(x, y, "s", color=COLORS[name], markersize=5, clip_on=False)
    axes.set(xlabel="answer, % of the truth", ylabel="truth (faces)")
    axes.tick_params(length=0, pad=7)
    axes.spines[:].set_visible(False)


def _plot_precision_recall(axes: Axes, result: Evaluation) -> None:
    for name, line in zip(LABELS, _LINES, strict=True):
        curve = (result.precision_recall or {}).get(name)
        if curve is not None:
            label = f"{name} {curve['average_precision']:.2f}"
            axes.plot(RECALLS, curve["precision"], linestyle=line, color=COLORS[name], label=label)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(
        title="average precision", loc="lower left", handlelength=3, frameon=False, fontsize=8
    )


def _plot_reliability(axes: Axes, result: Evaluation) -> None:
    bins = result.reliability or ()
    confidence, accuracy, counts = (
        np.array([entry[key] for entry in bins]) for key in ("confidence", "accuracy", "n")
    )
    shares = counts / counts.sum()
    axes.bar(confidence, shares, width=0.045, color=QUIET, alpha=0.45, label="share of the faces")
    axes.plot([0, 1], [0, 1], "--", color=QUIET, label="as sure as right")
    axes.plot(confidence, accuracy, "o-", color=INK, markersize=4, label="accuracy")
    axes.set(xlabel="confidence", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(
        title=f"calibration error {result.ece:.3f}",
        loc="upper left",
        alignment="left",
        frameon=False,
        fontsize=8,
    )


def _plot_robustness(axes: Axes, result: Evaluation) -> None:
    rows = result.robustness or ()
    axes.set_title(_title(result, rows[0]["n"]), loc="left")  # a part of them was changed
    places = range(len(rows))
    for key, marker, name in (("accuracy", "o", "accuracy"), ("macro_f1", "D", "macro F1")):
        values = [row[key] for row in rows]
        face = INK if key == "accuracy" else "white"
        axes.plot(values, places, marker, color=INK, markerfacecolor=face, label=name)
        axes.axvline(values[0], color=QUIET, linewidth=0.8, linestyle="--")
    axes.set_yticks(places, [row["condition"] for row in rows])
    axes.invert_yaxis()
    axes.grid(axis="y", color=QUIET, alpha=0.25)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.tick_params(axis="y", length=0)


def draw_learning_curves(history: Sequence[dict[str, Any]]) -> Figure:
    """Draw the loss, and the scores on each corpus's validation, over the epochs of a run.

    Args:
        history: lines of ``log.jsonl``.

    Raises:
        DataError: if the lines are of something else.
    """
    try:
        with _style():
            figure = Figure(figsize=(9.5, 3.8), layout="constrained")
            left, right = figure.subplots(1, 2, width_ratios=(2, 3))
            epochs = [line["epoch"] for line in history]
            left.plot(epochs, [line["loss"] for line in history], ".-", color=INK)
            left.set_title("training loss", loc="left")
            _plot_scores(right, history, epochs)
            for axes in (left, right):
                _mark_stages(axes, history)
                axes.set_xlabel("epoch")
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                axes.spines[["top", "right"]].set_visible(False)
        return figure
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"The log is not of a run of this version ({error!r} is missing)."
        ) from None


def _plot_scores(axes: Axes, history: Sequence[dict[str, Any]], epochs: Sequence[int]) -> None:
    for corpus, marker in zip(history[0]["validation"], cycle(_MARKERS), strict=False):
        for key, line, name in (("accuracy", "-", "accuracy"), ("macro_f1", ":", "macro F1")):
            values = [entry["validation"][corpus][key] for entry in history]
            label = f"{corpus}, {name}"
            axes.plot(
                epochs, values, linestyle=line, marker=marker, markersize=4, color=INK, label=label
            )
    axes.set_title("validation", loc="left")
    axes.legend(frameon=False, fontsize=8, handlelength=3, loc="lower right")


def _mark_stages(axes: Axes, history: Sequence[dict[str, Any]]) -> None:
    """Draw a line where the size of the crops changes, and write the size beside it."""
    axes.margins(y=0.13)  # room for the sizes
    sizes = [None, *(line["size"] for line in history)]
    for before, line in zip(sizes, history, strict=False):
        if line["size"] != before:
            start = line["epoch"] - 0.5
            if before is not None:
                axes.axvline(start, color=QUIET, linewidth=0.8)
            axes.annotate(
                f"{line['size']} px",
                (start, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(3, -9),
                textcoords="offset points",
                fontsize=8,
                color=QUIET,
            )


def _style() -> AbstractContextManager[None]:
    return styled("figures", axes_titlesize=9, axes_labelcolor=INK)


def _render(figure: Figure, kind: str) -> bytes:
    with _style():
        if kind == "svg":
            return to_svg(figure, dpi=150, facecolor="white")
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, facecolor="white")
        return buffer.getvalue()
