"""The About tab: what this is and is not, measured results, privacy, licences."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotion.atlas import ATLAS, panel, read_atlas
from emotion.errors import DataError
from emotion.evaluation import RESULTS, TITLES, Evaluation, read_evaluations
from emotion.labels import COLORS, LABELS
from emotion.ui.links import project_links
from emotion.ui.strings import label, text

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer

_TYPICAL = 3  # mistakes that are said in words

_log = logging.getLogger(__name__)


def about_markup(analyzer: Analyzer, measurements: Path = RESULTS, atlas: Path = ATLAS) -> str:
    """Return the About tab as HTML.

    Args:
        analyzer: what the page runs.
        measurements: JSON file with a list of evaluations; it need not exist.
        atlas: JSON file with the mean maps of the embedded weights; it need not exist.
    """
    facts = analyzer.description
    trained_on = ", ".join(facts["trained_on"])
    threshold = facts["abstain_below"]
    bound = (
        text("about_threshold", "p", percent=round(100 * threshold))
        if threshold
        else text("about_no_threshold", "p")
    )
    calm = text("about_calm", "p") if facts.get("calm") else ""
    limits = [f"about_not_{n}" for n in range(1, 5)]
    if calm:
        limits[0] = "about_not_1_calm"
    licence = (
        text("about_licences_2", "p", trained_on=trained_on)
        if trained_on
        else text("about_licences_unknown", "p")
    )
    return f"""
<div class="em-about">
  <section class="em-card">{text("about_what", "h2")}
    {text("about_what_1", "p")}{bound}{calm}{text("about_what_2", "p")}</section>
  <section class="em-card">{text("about_not", "h2")}<ul>
    {"".join(text(key, "li") for key in limits)}</ul></section>
  {_measured(measurements, facts["weights"] == "embedded")}
  {_atlas(atlas) if facts["weights"] == "embedded" else ""}
  <section class="em-card">{text("about_privacy", "h2")}
    {text("about_privacy_1", "p")}{text("about_privacy_video", "p")}
    {text("about_privacy_kept", "p")}{text("about_privacy_2", "p")}</section>
  <section class="em-card">{text("about_licences", "h2")}
    {text("about_licences_1", "p")}{licence}{text("about_licences_3", "p")}</section>
  {_links(project_links())}
</div>"""


def _links(addresses: Mapping[str, str]) -> str:
    items = "".join(
        f'<li><a href="{escape(address)}" rel="noreferrer">{escape(name)}</a></li>'
        for name, address in addresses.items()
    )
    return f'<section class="em-card">{text("about_links", "h2")}<ul>{items}</ul></section>' * bool(
        items
    )


def _atlas(path: Path) -> str:
    atlas = read_atlas(path)
    if atlas is None:
        return ""
    figures = ""
    for index, name in enumerate(LABELS):
        decided = atlas.most_decisive(index)
        said = text("atlas_none")
        if decided is not None:
            said = text(f"part_{decided[0]}") + f" {decided[1]:.0%}"
        figures += (
            f"<figure>{panel(atlas, index)}<figcaption>{text(name, 'b')}"
            f"<span>{said}</span></figcaption></figure>"
        )
    count = _count(sum(atlas.faces))
    return (
        f'<section class="em-card em-wide">{text("atlas", "h2")}'
        f'{text("atlas_what", "p", count=count)}<div class="em-atlas">{figures}</div></section>'
    )


def _measured(measurements: Path, embedded: bool) -> str:
    results: list[Evaluation] = []
    if measurements.exists():
        try:
            results = list(read_evaluations(measurements))
            return _results(results, embedded)
        except (DataError, KeyError, ZeroDivisionError):
            _log.warning("%s is not a list of measurements; About leaves it out", measurements.name)
    return (
        f'<section class="em-card em-wide">{text("about_results", "h2")}'
        f"{text('about_no_results', 'p')}</section>"
    )


def _results(results: list[Evaluation], embedded: bool) -> str:
    note = "" if embedded else text("about_other_weights", "p", classes="em-quiet")
    tables = "".join(_result(result) for result in results)
    return f"""<section class="em-card em-wide">{text("about_right", "h2")}{note}
    {text("about_right_what", "p")}
    <ul class="em-right">{"".join(_right(result) for result in results)}</ul></section>
  {_mistakes(results)}
  <section class="em-card em-wide"><details><summary>{text("about_numbers", "h2")}</summary>
    <div class="em-results">{tables}</div></details></section>"""


def _right(result: Evaluation) -> str:
    """Say it as people do: of ten pictures, so many."""
    right = round(10 * result.accuracy)
    dots = "".join(f"<i{' class=em-hit' * (number < right)}></i>" for number in range(10))
    return (
        f'<li><span class="em-ten" aria-hidden="true">{dots}</span>'
        f"{text('about_right_in', 'b', right=right)}<span>{escape(_title(result))}</span></li>"
    )


def _mistakes(results: list[Evaluation]) -> str:
    counts = np.sum([result.confusion for result in results], axis=0).astype(np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    off = np.where(np.eye(len(LABELS), dtype=bool), -1, shares)
    worst = [divmod(int(at), len(LABELS)) for at in off.ravel().argsort()[::-1][:_TYPICAL]]
    lines = "".join(
        f"<li>{text(LABELS[truth], 'b')} {text('about_taken_for')} {text(LABELS[said], 'b')} "
        f"{text('about_of_100', count=round(100 * shares[truth, said]))}</li>"
        for truth, said in worst
    )
    head = "".join(text(name, "th") for name in LABELS)
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th>{"".join(map(_cell, shares[index]))}</tr>'
        for index, name in enumerate(LABELS)
    )
    count = _count(counts.sum())
    return f"""<section class="em-card em-wide em-mistakes">{text("about_mistakes", "h2")}
    <div><ul>{lines}</ul>{text("about_mistakes_what", "p", classes="em-quiet", count=count)}</div>
    <table {label("about_confusion")}><thead><tr><td>{text("about_shown")} ↓</td>{head}</tr></thead>
      <tbody>{rows}</tbody></table></section>"""


def _cell(share: float) -> str:
    dark = ' class="em-much"' if share > 0.5 else ""
    return f'<td{dark} style="--share:{share:.3f}">{100 * share:.0f}</td>'


def _result(result: Evaluation) -> str:
    facts = [
        ("about_images", _images(result)),
        ("about_accuracy", _with_interval(result, "accuracy")),
        ("about_macro_f1", _with_interval(result, "macro_f1")),
        ("about_ece", f"{result.ece:.3f}"),
        ("about_not_found", _count(result.faces_not_found)),
        *_not_sure(result.calibration),
    ]
    summary = "".join(f"<div><dt>{text(key)}</dt><dd>{value}</dd></div>" for key, value in facts)
    head = "".join(
        text(f"about_{key}", "th") for key in ("class", "precision", "recall", "f1", "support")
    )
    rows = "".join(_row(name, result.per_class[name]) for name in LABELS)
    title = escape(_title(result))
    notes = "".join(
        f'<p class="em-quiet" lang="en">{escape(note)}</p>' for note in result.notes or ()
    )
    return (
        f"<article><h3>{title}</h3><dl>{summary}</dl>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}</article>"
    )


def _title(result: Evaluation) -> str:
    return f"{TITLES.get(result.corpus, result.corpus)} · {result.split}"


def _images(result: Evaluation) -> str:
    count, excluded = _count(result.n), result.excluded
    note = text("about_excluded", "small", count=_count(excluded)) if excluded else ""
    return f"{count} {note}"


def _not_sure(calibration: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Say how often "not sure" is the answer to an expressive face, and to a neutral one."""
    if calibration is None:
        return []
    facts = [("about_not_sure", f"{1 - calibration['answered']:.0%}")]
    if calibration["neutral"]:
        facts.append(("about_not_sure_neutral", f"{1 - calibration['neutral_answered']:.0%}"))
    return facts


def _with_interval(result: Evaluation, key: str) -> str:
    low, high = result.confidence_intervals[key]
    return f"{getattr(result, key):.3f} <small>({low:.3f}–{high:.3f})</small>"


def _row(name: str, scores: Mapping[str, float]) -> str:
    mark = f'<i class="em-dot" style="background:{COLORS[name]}"></i>'
    cells = "".join(f"<td>{scores[key]:.3f}</td>" for key in ("precision", "recall", "f1"))
    support = f"<td>{_count(scores['support'])}</td>"
    return f'<tr><th scope="row">{mark}{text(name)}</th>{cells}{support}</tr>'


def _count(number: float) -> str:
    # A narrow space parts thousands in every language; comma and point do not.
    return f"{number:,.0f}".replace(",", "\u202f")
