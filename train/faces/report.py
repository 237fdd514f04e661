"""What preparation found: numbers that a reader can check, as JSON, text and a page."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from datasets import DatasetDict

from emotion.labels import LABELS
from train.corpora import Corpus
from train.corpora.schema import Finding
from train.faces.duplicates import DuplicateSummary
from train.faces.posterior import PosteriorSummary

HISTOGRAMS: dict[str, tuple[int, ...]] = {
    "eye distance, % of the width": tuple(range(0, 82, 2)),
    "tilt of the eyes, degrees": tuple(range(-45, 46, 3)),
    "mean grey level of the crop": tuple(range(0, 257, 8)),
    "contrast of the crop (std)": tuple(range(0, 129, 4)),
}
"""What is measured on pictures, and the edges of its bins; the outer ones take what lies beyond."""

MAX_LISTED = 20
"""Longer lists are cut in text and page; report.json has everything."""


@dataclass(frozen=True)
class CorpusReport:
    """One corpus.

    Attributes:
        name: of the corpus.
        layout: how it was laid out.
        counts: split -> class -> images in the corpus, before anything was dropped.
        found: split -> class -> share of them whose face was found, 0..1.
        unreadable: ``sample: reason`` of every picture that could not be decoded.
        upscaled: pictures that the super-resolution method enlarged.
        differences: sentences on counts that are not the published ones.
        findings: kind -> ``where: detail`` of everything the loader left out or found odd.
        histograms: name in ``HISTOGRAMS`` -> pictures per bin; eyes only where they were found.
        duplicates: split -> rows dropped as duplicates.
        votes: what taggers' votes were turned into, if there are any.
    """

    name: str
    layout: str
    counts: dict[str, dict[str, int]]
    found: dict[str, dict[str, float]]
    unreadable: list[str]
    upscaled: int
    differences: list[str]
    findings: dict[str, list[str]]
    histograms: dict[str, list[int]]
    duplicates: dict[str, int] = field(default_factory=dict)
    votes: PosteriorSummary | None = None

    @classmethod
    def of(cls, corpus: Corpus, aligned: DatasetDict) -> CorpusReport:
        """Count what alignment made of a corpus."""
        counts: dict[str, dict[str, int]] = {}
        found: dict[str, dict[str, float]] = {}
        unreadable: list[str] = []
        upscaled = 0
        for split, rows in aligned.items():
            names = [LABELS[i] if i >= 0 else "none of the six" for i in rows["label"]]
            total = Counter(names)
            hits = Counter(n for n, hit in zip(names, rows["face_found"], strict=True) if hit)
            order = [name for name in (*LABELS, "none of the six") if name in total]
            counts[split] = {name: total[name] for name in order}
            found[split] = {name: round(hits[name] / total[name], 4) for name in order}
            upscaled += sum(rows["upscaled"])
            unreadable += [
                f"{key}: {error}"
                for key, error in zip(rows["sample_id"], rows["error"], strict=True)
                if error
            ]
        return cls(
            corpus.name,
            corpus.layout,
            counts,
            found,
            unreadable,
            upscaled,
            list(corpus.differences),
            by_kind(corpus.findings),
            _histograms(aligned),
        )

    def total(self, split: str) -> int:
        """Images of a split."""
        return sum(self.counts[split].values())

    def detection_rate(self, split: str) -> float:
        """Share of a split's pictures whose face was found, 0..1; 1 for an empty split."""
        counts, found = self.counts[split], self.found[split]
        hits = sum(found[name] * count for name, count in counts.items())
        return hits / max(1, self.total(split)) if counts else 1.0


def by_kind(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return kind -> ``where: detail`` of what a loader left out or found odd."""
    kinds: dict[str, list[str]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(f"{finding.where}: {finding.detail}")
    return kinds


def findings_lines(findings: Mapping[str, list[str]]) -> list[str]:
    """Render what ``by_kind`` returned for a terminal."""
    lines = []
    for kind, places in findings.items():
        lines.append(f"  {kind}: {len(places):,}")
        lines += [f"    {text}" for text in cut(places)]
    return lines


def print_findings(corpus: Corpus) -> None:
    """Say on standard error what the loader left out or found odd."""
    for line in findings_lines(by_kind(corpus.findings)):
        print(line, file=sys.stderr)


def _histograms(aligned: DatasetDict) -> dict[str, list[int]]:
    shares, tilts, means, contrasts = [], [], [], []
    for rows in aligned.values():
        for points, width, px in zip(rows["landmarks"], rows["width"], rows["px"], strict=True):
            if points is not None:
                right, down = points[2] - points[0], points[3] - points[1]
                shares.append(100 * np.hypot(right, down) / width)
                tilts.append(np.degrees(np.arctan2(down, right)))
            if px:
                crop = np.frombuffer(px, np.uint8)
                means.append(crop.mean())
                contrasts.append(crop.std())
    return {
        name: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
        for (name, edges), values in zip(
            HISTOGRAMS.items(), (shares, tilts, means, contrasts), strict=True
        )
    }


@dataclass(frozen=True, kw_only=True)
class Report(DuplicateSummary):
    """All corpora of one preparation, and what was found of photographs that occur again.

    Attributes:
        fingerprint: of everything that shaped the result.
        options: of the alignment.
        corpora: one report each.
    """

    fingerprint: str
    options: dict[str, str]
    corpora: list[CorpusReport]


def to_text(report: Report) -> str:
    """Render the report for a terminal."""
    lines = []
    for corpus in report.corpora:
        lines.append(f"{corpus.name} ({corpus.layout})")
        for split, counts in corpus.counts.items():
            classes = ", ".join(f"{name} {count}" for name, count in counts.items())
            lines.append(
                f"  {split}: {corpus.total(split)} images ({classes}); faces found in "
                f"{corpus.detection_rate(split):.1%}; {corpus.duplicates.get(split, 0)} dropped as "
                "duplicates"
            )
        lines += [f"  {sentence}" for sentence in corpus.differences]
        if corpus.votes:
            lines.append(f"  {votes_sentence(corpus.votes)}")
        if corpus.upscaled:
            lines.append(f"  {corpus.upscaled} pictures were super-resolved.")
        lines += [f"  unreadable: {text}" for text in cut(corpus.unreadable)]
        lines += findings_lines(corpus.findings)
    lines.append(duplicate_sentence(report))
    return "\n".join(lines)


def votes_sentence(votes: PosteriorSummary) -> str:
    """Say what became of taggers' votes."""
    right = ", ".join(f"{share:.1%} of {split}" for split, share in votes.accuracy.items())
    return f"{votes.rows} training rows have a soft label; the votes alone tell {right}."


def duplicate_sentence(report: Report) -> str:
    """Say what the search for duplicates found."""
    return (
        f"Duplicates: {report.groups} photographs occur more than once, {report.across} of them in "
        f"more than one corpus, {len(report.conflicts)} under different labels. Dropped from the "
        f"training splits: {report.leaks} rows that also stand in a held-out split and "
        f"{report.repeats} that repeat another training row. Of what is repeated one picture is "
        f"learnt with the mean of its labels, which differ for {report.averaged}."
    )


def cut(entries: list[str]) -> list[str]:
    """Shorten a list to ``MAX_LISTED`` entries and say how many more there are."""
    more = len(entries) - MAX_LISTED
    return entries if more <= 0 else [*entries[:MAX_LISTED], f"and {more} more (report.json)"]
