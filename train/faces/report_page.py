"""The preparation report as one self-contained page."""

from __future__ import annotations

from html import escape

from emotion.labels import LABELS
from train.faces.report import CorpusReport, Report, cut, duplicate_sentence, votes_sentence
from train.faces.report_plots import plot_corpus


def to_html(report: Report) -> str:
    """Render the report as one self-contained page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'><title>Preparation report</title>",
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
        "padding:0 1rem;color:#1b1f24}table{border-collapse:collapse;margin:.5rem 0 1.5rem}"
        "svg{max-width:100%;height:auto}div{overflow-x:auto}li{overflow-wrap:anywhere}"
        "td,th{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #d8dee4}"
        "th:first-child,td:first-child{text-align:left}</style><h1>Preparation report</h1>",
    ]
    for corpus in report.corpora:
        parts.append(
            f"<h2>{escape(corpus.name)}</h2><p>Layout: {escape(corpus.layout)}. Below each number "
            "of images: how many of their faces were found.</p>"
        )
        parts.append(_table(corpus))
        parts.append(plot_corpus(corpus))
        parts += [f"<p>{escape(sentence)}</p>" for sentence in corpus.differences]
        if corpus.votes:
            parts.append(f"<p>{escape(votes_sentence(corpus.votes))}</p>")
        parts.append(_list(f"Unreadable pictures: {len(corpus.unreadable)}", corpus.unreadable))
        for kind, places in corpus.findings.items():
            parts.append(_list(f"{kind}: {len(places)}", places))
    parts.append(f"<h2>Duplicates</h2><p>{escape(duplicate_sentence(report))}</p>")
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
            f"<td>{counts[name]:,}<br><small>{corpus.found[split][name]:.1%}</small></td>"
            if name in counts
            else "<td>–</td>"
            for name in names
        )
        rows.append(
            f"<tr><td>{escape(split)}</td>{cells}<td>{corpus.total(split):,}</td>"
            f"<td>{corpus.detection_rate(split):.1%}</td>"
            f"<td>{corpus.duplicates.get(split, 0):,}</td></tr>"
        )
    return (
        f"<div><table><tr><th>split</th>{head}<th>images</th><th>faces found</th>"
        f"<th>dropped as duplicates</th></tr>{''.join(rows)}</table></div>"
    )


def _list(title: str, entries: list[str]) -> str:
    if not entries:
        return ""
    items = "".join(f"<li>{escape(entry)}</li>" for entry in cut(entries))
    return f"<h3>{escape(title)}</h3><ul>{items}</ul>"
