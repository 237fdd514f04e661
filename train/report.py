"""What preparation found: numbers that a reader can check, as JSON, text and a page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape

from datasets import DatasetDict

from emotion.labels import LABELS
from train.corpora import Corpus

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
        duplicates: split -> rows dropped as duplicates.
    """

    name: str
    layout: str
    counts: dict[str, dict[str, int]]
    found: dict[str, dict[str, float]]
    unreadable: list[str]
    upscaled: int
    differences: list[str]
    findings: dict[str, list[str]]
    duplicates: dict[str, int] = field(default_factory=dict)

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
        findings: dict[str, list[str]] = {}
        for finding in corpus.findings:
            findings.setdefault(finding.kind, []).append(f"{finding.where}: {finding.detail}")
        return cls(
            corpus.name,
            corpus.layout,
            counts,
            found,
            unreadable,
            upscaled,
            list(corpus.differences),
            findings,
        )

    def total(self, split: str) -> int:
        """Images of a split."""
        return sum(self.counts[split].values())

    def detection_rate(self, split: str) -> float:
        """Share of a split's pictures whose face was found, 0..1; 1 for an empty split."""
        counts, found = self.counts[split], self.found[split]
        hits = sum(found[name] * count for name, count in counts.items())
        return hits / max(1, self.total(split)) if counts else 1.0


@dataclass(frozen=True)
class Report:
    """All corpora of one preparation.

    Attributes:
        fingerprint: of everything that shaped the result.
        options: of the alignment.
        corpora: one report each.
        leaks: training rows dropped because a held-out row shows the same photograph.
        repeats: training rows dropped because another training row does.
        conflicts: groups of one photograph under different labels, as ``corpus/sample: label``.
    """

    fingerprint: str
    options: dict[str, str]
    corpora: list[CorpusReport]
    leaks: int
    repeats: int
    conflicts: list[list[str]]


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
        if corpus.upscaled:
            lines.append(f"  {corpus.upscaled} pictures were super-resolved.")
        lines += [f"  unreadable: {text}" for text in _cut(corpus.unreadable)]
        for kind, places in corpus.findings.items():
            lines.append(f"  {kind}: {len(places)} times")
            lines += [f"    {text}" for text in _cut(places)]
    lines.append(
        f"Duplicates: {report.leaks} training rows also stand in a held-out split and were "
        f"dropped, {report.repeats} repeat another training row; {len(report.conflicts)} "
        "photographs occur under different labels."
    )
    return "\n".join(lines)


def to_html(report: Report) -> str:
    """Render the report as one self-contained page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Preparation report</title>",
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
        "padding:0 1rem;color:#1b1f24}table{border-collapse:collapse;margin:.5rem 0 1.5rem}"
        "td,th{padding:.3rem .7rem;border-bottom:1px solid #d8dee4;text-align:right}"
        "th:first-child,td:first-child{text-align:left}</style><h1>Preparation report</h1>",
    ]
    for corpus in report.corpora:
        parts.append(f"<h2>{escape(corpus.name)}</h2><p>Layout: {escape(corpus.layout)}.</p>")
        parts.append(_table(corpus))
        parts += [f"<p>{escape(sentence)}</p>" for sentence in corpus.differences]
        parts.append(_list(f"Unreadable pictures: {len(corpus.unreadable)}", corpus.unreadable))
        for kind, places in corpus.findings.items():
            parts.append(_list(f"{kind}: {len(places)}", places))
    parts.append(
        f"<h2>Duplicates</h2><p>{report.leaks} training rows also stand in a held-out split and "
        f"were dropped; {report.repeats} repeat another training row.</p>"
    )
    conflicts = [" | ".join(members) for members in report.conflicts]
    parts.append(_list(f"Photographs under different labels: {len(conflicts)}", conflicts))
    options = ", ".join(f"{name} {value}" for name, value in report.options.items())
    parts.append(f"<h2>Options</h2><p>{escape(options)}</p></html>")
    return "\n".join(parts) + "\n"


def _table(corpus: CorpusReport) -> str:
    names = [n for n in (*LABELS, "none of the six") if any(n in c for c in corpus.counts.values())]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for split, counts in corpus.counts.items():
        cells = "".join(
            f"<td>{counts[name]}<br><small>{corpus.found[split][name]:.1%}</small></td>"
            if name in counts
            else "<td>–</td>"
            for name in names
        )
        rows.append(
            f"<tr><td>{escape(split)}</td>{cells}<td>{corpus.total(split)}</td>"
            f"<td>{corpus.detection_rate(split):.1%}</td>"
            f"<td>{corpus.duplicates.get(split, 0)}</td></tr>"
        )
    return (
        f"<table><tr><th>split</th>{head}<th>images</th><th>faces found</th>"
        f"<th>duplicates</th></tr>{''.join(rows)}</table>"
    )


def _list(title: str, entries: list[str]) -> str:
    if not entries:
        return ""
    items = "".join(f"<li>{escape(entry)}</li>" for entry in _cut(entries))
    return f"<h3>{escape(title)}</h3><ul>{items}</ul>"


def _cut(entries: list[str]) -> list[str]:
    more = len(entries) - MAX_LISTED
    return entries if more <= 0 else [*entries[:MAX_LISTED], f"and {more} more (report.json)"]
