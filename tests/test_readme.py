from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import emotion

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
RESULTS_PAGE = (REPOSITORY / "docs" / "results.md").read_text("utf-8")
RESULTS = json.loads((REPOSITORY / "emotion" / "assets" / "results.json").read_text("utf-8"))


def cells(document: str, result: dict[str, Any]) -> list[str]:
    (row,) = [
        line
        for line in document.splitlines()
        if line.startswith(f"| {result['corpus']} {result['split']} ")
    ]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: f"{r['corpus']} {r['split']}")
def test_the_documents_numbers_are_those_of_the_measurement(result: dict[str, Any]) -> None:
    low, high = result["confidence_intervals"]["macro_f1"]
    both = [f"{result['accuracy']:.3f}", f"{result['macro_f1']:.3f} ({low:.3f}–{high:.3f})"]

    assert cells(README, result) == both
    assert cells(RESULTS_PAGE, result) == [
        f"{result['n']:,}",
        *both,
        *(f"{result['per_class'][name]['recall']:.2f}" for name in result["per_class"]),
        f"{result['ece']:.3f}",
    ]


def test_the_readme_is_short_and_the_results_are_tables() -> None:
    assert len(README.split()) < 900
    assert len(RESULTS_PAGE.splitlines()) < 150


DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
DOCUMENTS += sorted((REPOSITORY / "docs").rglob("*.md"))


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.*)", document.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(REPOSITORY)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", document.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document

        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/methods.md"])
def test_every_file_of_ours_that_a_document_names_exists(document: str) -> None:
    text = (REPOSITORY / document).read_text("utf-8")
    named = re.findall(r"`((?:emotion|train|tests|docs|benchmarks)/[\w./-]+)`", text)

    assert named
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))

    assert citation["version"] == emotion.__version__
