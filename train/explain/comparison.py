"""Which explanation is true to the network, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emotion.analyzer import Analyzer
from emotion.atlas import Atlas
from emotion.cover import CoverTest, cover_parts
from emotion.detect import RetinaFaceDetector
from emotion.errors import ConfigError, DataError
from emotion.fills import inpaint_fill, smooth_fill
from emotion.weights import load
from train.explain.averages import make_atlas
from train.explain.measure import Faces, Row, describe, measure, milliseconds, read_faces
from train.faces.prepared import VALIDATION, check_zoom, held_out, prepared_corpora, read_rows

SANE = 0.2
"""A method depends on what was learnt if its rank correlation ``sanity`` stays below this."""

DRAWN_WITHIN = 3.0
"""Milliseconds that a map may cost beyond the answer, to be drawn on the page."""

_BATCH = 32


def explain(
    weights: str, data: Path, corpora: Sequence[str], limit: int, *, maps: bool, atlas: bool
) -> tuple[dict[str, Any], Atlas | None]:
    """Measure.

    Args:
        weights: SPEC, see ``emotion.weights.load``.
        data: folder that ``prepare`` wrote.
        corpora: which of its corpora; none for all.
        limit: faces of each, of every class the same share; 0 takes all.
        maps: measure the maps too, not the cover test alone.
        atlas: whether to average maps, too.

    Returns:
        All numbers as JSON values, see ``to_text``, and the mean map of each class or None.

    Raises:
        ConfigError: if the limit is negative, or the faces have another zoom than the weights.
        DataError: if there are no prepared faces.
        WeightsError: if the weights cannot be used.
    """
    if limit < 0:
        raise ConfigError(f"--limit must be 0 or a number of faces, not {limit}.")
    loaded = load(weights)
    network = loaded.network
    check_zoom(data, network.config.zoom)
    corpora = list(corpora) or prepared_corpora(data)
    if not corpora:
        raise DataError(f"{data} holds no prepared faces; run: python -m train prepare")
    detector = RetinaFaceDetector()
    reference = Analyzer(network, detector, loaded.spec)
    served = Analyzer.from_loaded(loaded)
    result: dict[str, Any] = {
        "weights": weights,
        "digest": loaded.digest,
        "engine": served.exact.engine,
        "cover": {},
        "maps": [],
    }
    parts: list[tuple[int, list[Row]]] = []
    everyone = []
    for corpus in corpora:
        faces, inpainted, engine = _corpus(data, corpus, limit, reference, served)
        everyone.append(faces)
        result["cover"][corpus] = {
            "inpainting": describe(faces.tests, inpainted),
            "engine": describe(engine, faces.tests),
        }
        if maps:
            parts.append((len(faces), measure(network, served, faces)))
            times = milliseconds(network, faces.crops)
    if parts:
        result["maps"] = [
            {**row, "ms": times.get((row["method"], row["stage"]))} for row in _mean(parts)
        ]
        result["winner"] = winner(result["maps"])
    return result, make_atlas(served, everyone, loaded.digest) if atlas else None


def _corpus(
    data: Path, corpus: str, limit: int, reference: Analyzer, served: Analyzer
) -> tuple[Faces, list[CoverTest], list[CoverTest]]:
    """Return faces whose answer is sure, and their cover tests by inpainting and by the engine."""
    rows = read_rows(data, corpus, VALIDATION)
    labels = np.array(rows["label"], np.int64)
    if limit:
        share = min(1.0, limit / len(rows))
        rows = rows.select(np.flatnonzero(held_out(labels, share, seed=0)))
    crops, masks = read_faces(rows, reference.network.config.zoom)
    answered = reference.classify(crops)
    sure = answered.probabilities.max(1) >= reference.network.config.abstain_below
    if answered.calm is not None:
        sure &= answered.calm < 0.5
    if not sure.any():
        raise DataError(f"No answer to the {len(crops)} faces of {corpus} is sure.")
    crops, masks = crops[sure], masks[sure]
    tests = {
        name: [
            test
            for start in range(0, len(crops), _BATCH)
            for test in cover_parts(
                analyzer.exact.classify,
                crops[start : start + _BATCH],
                masks[start : start + _BATCH],
                fill,
                analyzer.network.config.abstain_below,
            )
        ]
        for name, analyzer, fill in (
            ("own", reference, smooth_fill),
            ("inpainted", reference, inpaint_fill),
            ("engine", served, smooth_fill),
        )
    }
    answers = answered.probabilities[sure].argmax(1)
    return Faces(crops, answers, tests["own"]), tests["inpainted"], tests["engine"]


def _mean(parts: list[tuple[int, list[Row]]]) -> list[Row]:
    """Average the rows of several corpora, each corpus with the same weight."""
    rows = []
    for same in zip(*(part for _, part in parts), strict=True):
        row = {**same[0], "n": sum(count for count, _ in parts)}
        for key in (
            "deletion",
            "insertion",
            "pointing",
            "right_half",
            "mirror_agreement",
            "sanity",
        ):
            known = [one[key] for one in same if one[key] is not None]
            row[key] = round(float(np.mean(known)), 4) if known else None
        rows.append(row)
    return rows


def winner(rows: list[Row]) -> Row | None:
    """Choose what is drawn: among sane methods the best pointing rate, then the least deletion."""
    sane = [row for row in rows if row["stage"] is not None and abs(row["sanity"]) < SANE]
    return min(sane, key=lambda row: (-(row["pointing"] or 0), row["deletion"]), default=None)


def to_text(result: dict[str, Any]) -> str:
    """Render the table for a terminal."""
    lines = [f"weights {result['weights']}, engine {result['engine']}"]
    for corpus, row in result["cover"].items():
        fill, engine = row["inpainting"], row["engine"]
        kinds = ", ".join(f"{kind} {count}" for kind, count in fill["kinds"].items())
        lines += [
            f"{corpus}: {fill['n']} sure answers; {kinds}",
            f"  same part by inpainting {_share(fill['same_part'])}; the engine's sentence in "
            f"float32 {_share(engine['same_sentence'])}; its {engine['turned']} turns true "
            f"{_share(engine['turned_true'])}",
        ]
    if not result["maps"]:
        return "\n".join(lines)
    lines.append(
        "map           stage  mirror  pointing  deletion  insertion  right  mirrored  sanity    ms"
    )
    for row in result["maps"]:
        stage = {None: "-", 1: "last", 2: "before"}[row["stage"]]
        ms = "" if row["ms"] is None else f"{row['ms']:6.2f}"
        lines.append(
            f"{row['method']:12}  {stage:6} {'yes' if row['mirror'] else 'no':5}"
            f"     {_number(row['pointing'])}     {row['deletion']:.3f}      {row['insertion']:.3f}"
            f"   {row['right_half']:.3f}     {row['mirror_agreement']:.3f}   {row['sanity']:+.3f}"
            f" {ms}"
        )
    best = result["winner"]
    if best is not None:
        mirror = "with" if best["mirror"] else "without"
        drawn = "it can be drawn" if best["ms"] <= DRAWN_WITHIN else "too slow to be drawn live"
        lines.append(
            f"best: {best['method']}, stage {best['stage']} from the last, {mirror} mirror; {drawn}"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
