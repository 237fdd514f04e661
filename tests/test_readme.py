from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import emotion

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
RESULTS = json.loads((REPOSITORY / "emotion" / "assets" / "results.json").read_text("utf-8"))


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: f"{r['corpus']} {r['split']}")
def test_the_readmes_numbers_are_those_of_the_measurement(result: dict) -> None:  # type: ignore[type-arg]
    (row,) = [
        line
        for line in README.splitlines()
        if line.startswith(f"| {result['corpus']} {result['split']} ")
    ]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    low, high = result["confidence_intervals"]["macro_f1"]

    assert cells[1:] == [
        f"{result['n']:,}",
        f"{result['accuracy']:.3f}",
        f"{result['macro_f1']:.3f} ({low:.3f}–{high:.3f})",
        *(f"{result['per_class'][name]['recall']:.2f}" for name in result["per_class"]),
        f"{result['ece']:.3f}",
    ]


def test_every_file_that_the_readme_links_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README)

    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_of_ours_that_a_document_names_exists(document: str) -> None:
    text = (REPOSITORY / document).read_text("utf-8")
    named = re.findall(r"`((?:emotion|train|tests|docs|benchmarks)/[\w./-]+)`", text)

    assert named
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))

    assert citation["version"] == emotion.__version__
