from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import load_from_disk

from emotion.labels import COLORS, LABELS
from train.corpora import Finding, load_corpus
from train.faces.align_rows import PREPARED
from train.faces.report import HISTOGRAMS, CorpusReport, Report, to_text
from train.faces.report_page import to_html


@pytest.fixture(scope="module")
def corpus() -> CorpusReport:
    """Two labelled splits and the rest, with something of everything to report."""
    return CorpusReport(
        name="fer2013",
        layout="Kaggle <folders>",
        counts={
            "train": dict(zip(LABELS, (7215, 3171, 4830, 3995, 436, 4097), strict=True)),
            "public": {"happiness": 895, "fear": 5},
            "other": {"none of the six": 600},
        },
        found={
            "train": dict(zip(LABELS, (1.0, 1.0, 1.0, 1.0, 0.5, 1.0), strict=True)),
            "public": {"happiness": 0.9, "fear": 0.2},
            "other": {"none of the six": 0.75},
        },
        unreadable=[f"picture {number}: damaged & gone" for number in range(25)],
        upscaled=7,
        differences=["fer2013 train differs from the published counts."],
        findings={"zero-byte image": ["a.jpg: the file is empty"]},
        histograms={name: [3] * (len(edges) - 1) for name, edges in HISTOGRAMS.items()},
        duplicates={"train": 12, "public": 0, "other": 1},
    )


@pytest.fixture(scope="module")
def report(corpus: CorpusReport) -> Report:
    conflicts = [["fer2013/a: happy", "raf-db/b: 6"]]
    return Report(
        fingerprint="key",
        options={"zoom": "1.3"},
        corpora=[corpus],
        groups=9,
        across=2,
        leaks=10,
        repeats=3,
        conflicts=conflicts,
    )


def test_the_text_says_everything_that_was_counted(report: Report) -> None:
    text = to_text(report)

    for expected in (
        "train: 23744 images",
        "disgust 436",
        "public: 900 images (happiness 895, fear 5); faces found in 89.6%; 0 dropped",
        "fer2013 train differs",
        "7 pictures were super-resolved",
        "picture 0: damaged & gone",
        "and 5 more",
        "zero-byte image: 1",
        "9 photographs occur more than once, 2 of them in more than one corpus, 1 under different",
        "10 rows that also stand in a held-out split and 3 that repeat",
    ):
        assert expected in text


def test_the_page_holds_numbers_and_escapes_names(report: Report) -> None:
    page = to_html(report)

    for expected in ("23,744", "Kaggle &lt;folders&gt;", "damaged &amp; gone", "and 5 more"):
        assert expected in page
    assert "fer2013/a: happy | raf-db/b: 6" in page


def test_the_page_is_self_contained_shows_no_picture_and_is_repeatable(report: Report) -> None:
    page = to_html(report)

    assert not re.search(r"<(img|image|script|link|iframe)\b", page)
    assert not re.search(r"""(href|src)=["'](?!#)|url\((?!#)|@import""", page)
    assert page == to_html(report)


def test_the_plots_show_six_statistics_with_the_classes_in_their_colours(report: Report) -> None:
    page = to_html(report)
    (svg,) = re.findall(r"<svg .*?</svg>", page, re.DOTALL)

    root = ET.fromstring(svg)
    texts = ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("}text")]

    assert root.attrib["role"] == "img"
    assert "fer2013" in root.attrib["aria-label"]
    assert len(re.findall(r'id="axes_\d"', svg)) == 6
    assert {*HISTOGRAMS, *LABELS, "8,110", "4,102"} <= set(texts)
    assert "50.0 %" in texts  # half of the disgusted faces were missed
    assert all(color.lower() in svg.lower() for color in COLORS.values())


def test_a_corpus_without_some_classes_can_be_drawn(corpus: CorpusReport, report: Report) -> None:
    empty = {name: [0] * (len(edges) - 1) for name, edges in HISTOGRAMS.items()}
    few = CorpusReport(
        "raf-db", "x", {"test": {"fear": 1}}, {"test": {"fear": 0.0}}, [], 0, [], {}, empty
    )

    page = to_html(replace(report, corpora=[few, corpus]))

    assert page.count("<svg") == 2
    assert "100.0 %" in page


def test_statistics_are_counted_from_prepared_rows(prepared: Path) -> None:
    splits = load_from_disk(str(prepared / "synthetic"))
    loaded = load_corpus("synthetic", "150")

    counted = CorpusReport.of(loaded, splits)

    assert counted.counts["train"] == {
        name: splits["train"]["label"].count(index) for index, name in enumerate(LABELS)
    }
    assert counted.detection_rate("train") == 1
    assert {name: sum(values) for name, values in counted.histograms.items()} == dict.fromkeys(
        HISTOGRAMS, 150
    )
    landmarks = np.reshape([p for rows in splits.values() for p in rows["landmarks"]], (-1, 5, 2))
    widths = np.array([w for rows in splits.values() for w in rows["width"]])
    shares = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1) / widths
    name, edges = next(iter(HISTOGRAMS.items()))
    assert counted.histograms[name] == np.histogram(100 * shares, edges)[0].tolist()


def test_unreadable_rows_and_findings_are_listed(prepared: Path) -> None:
    splits = load_from_disk(str(prepared / "synthetic"))
    row = {**splits["valid"][0], "px": b"", "landmarks": None, "width": None, "phash": None}
    row |= {"face_found": False, "error": "The file is damaged.", "sample_id": "bad"}
    features = {name: PREPARED[name] for name in splits["valid"].features}
    damaged = (
        splits["valid"]
        .select([0, 1])
        .map(lambda _: row, features=type(PREPARED)(features), keep_in_memory=True)
    )
    loaded = load_corpus("synthetic", "150")
    finding = Finding("zero-byte image", "face.jpg", "the file is empty")
    loaded = type(loaded)(
        loaded.name, loaded.layout, loaded.splits, {}, {}, ("It differs.",), (finding,)
    )
    splits["valid"] = damaged

    counted = CorpusReport.of(loaded, splits)

    assert counted.unreadable == ["bad: The file is damaged."] * 2
    assert counted.findings == {"zero-byte image": ["face.jpg: the file is empty"]}
    assert counted.differences == ["It differs."]
    assert counted.detection_rate("valid") == 0
    assert sum(counted.histograms["mean grey level of the crop"]) == 150 - len(
        load_corpus("synthetic", "150").splits["valid"]
    )
