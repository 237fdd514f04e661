from __future__ import annotations

import json

import pytest

from emotion.atlas import read_atlas
from emotion.evaluation import RESULTS
from emotion.labels import LABELS
from emotion.ui.about import about_markup
from emotion.ui.strings import say
from emotion.weights import load

EVALUATION = {
    "n": 2982,
    "accuracy": 0.6712,
    "macro_f1": 0.6034,
    "macro_precision": 0.61,
    "macro_recall": 0.6,
    "confusion": [[1] * 6] * 6,
    "per_class": {
        name: {"precision": 0.5 + i / 100, "recall": 0.6, "f1": 0.55, "support": 400 + i}
        for i, name in enumerate(LABELS)
    },
    "ece": 0.0312,
    "corpus": "fer2013",
    "split": "public",
    "weights": "embedded",
    "faces_not_found": 41,
    "confidence_intervals": {"accuracy": [0.654, 0.688], "macro_f1": [0.58, 0.62]},
}


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([EVALUATION]), "utf-8")
    return path


def test_measured_results_are_shown_per_class(analyzer, stored):
    markup = about_markup(analyzer, stored)
    assert "FER-2013 · public" in markup
    for number in ("2\u202f982", "0.671", "0.603", "0.031", "0.654–0.688", "0.550", "405"):
        assert number in markup


def test_what_calibration_achieves_and_what_was_left_out_is_shown(analyzer, tmp_path):
    calibration = {"answered": 0.86, "neutral": 600, "neutral_answered": 0.63}
    path = tmp_path / "results.json"
    path.write_text(
        json.dumps(
            [
                {**EVALUATION, "excluded": 620, "calibration": calibration},
                {**EVALUATION, "corpus": "raf-db", "split": "validation"},
            ]
        ),
        "utf-8",
    )
    markup = about_markup(analyzer, path)
    first, second = markup.split("<article>")[1:]
    for fact in ("620 with a copy", "<dd>14%</dd>", "<dd>37%</dd>"):
        assert fact in first
        assert fact not in second
    assert "RAF-DB · validation" in second


def test_without_measurements_the_page_says_so(analyzer, tmp_path):
    assert "No measurement is stored" in about_markup(analyzer, tmp_path / "none.json")


@pytest.mark.parametrize("content", ["", "{}", "[]", "7", "[1]", '[{"n": 3}]', "not json"])
def test_a_damaged_file_is_left_out(analyzer, tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content, "utf-8")
    assert "No measurement is stored" in about_markup(analyzer, path)


def test_the_shipped_measurements_are_shown(analyzer):
    if not RESULTS.is_file():
        pytest.fail(f"{RESULTS} is missing: run train evaluate --json for the weights")
    measured = json.loads(RESULTS.read_text("utf-8"))
    assert {result["digest"] for result in measured} == {load("embedded").digest}
    markup = about_markup(analyzer)
    for result in measured:
        assert f"{result['accuracy']:.3f}" in markup


def test_names_in_the_file_cannot_inject_markup(analyzer, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**EVALUATION, "corpus": "<script>alert(1)</script>"}]), "utf-8")
    assert "<script>" not in about_markup(analyzer, path)


def test_other_weights_are_not_credited_with_the_measurements(analyzer, stored):
    class Other:
        description = {**analyzer.description, "weights": "hf://someone/else"}  # noqa: RUF012

    assert "belong to the embedded weights" in about_markup(Other(), stored)
    assert "What it is not" in about_markup(Other(), stored)


def test_the_threshold_of_not_sure_is_named_where_there_is_one(analyzer):
    class Careful:
        description = {**analyzer.description, "abstain_below": 0.4}  # noqa: RUF012

    assert "below 40 %" in about_markup(Careful())

    class Bold:
        description = {**analyzer.description, "abstain_below": 0.0}  # noqa: RUF012

    assert "always the answer" in about_markup(Bold())


def test_what_qualifies_a_number_stands_beside_it(analyzer, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{**EVALUATION, "notes": ["620 <copies>"]}]), "utf-8")

    assert "620 &lt;copies&gt;" in about_markup(analyzer, path)


def test_calm_is_explained_where_the_weights_tell_it(analyzer):
    class Older:
        description = {**analyzer.description, "calm": False}  # noqa: RUF012

    assert "no clear expression" in about_markup(analyzer)
    assert "no clear expression" not in about_markup(Older())


def test_the_atlas_of_the_embedded_weights_is_drawn(analyzer):
    atlas = read_atlas()
    assert atlas is not None
    assert atlas.weights == load("embedded").digest  # else: train explain --atlas
    markup = about_markup(analyzer)
    assert markup.count("<svg viewBox") == len(LABELS)
    part, share = atlas.most_decisive(0)
    assert f"{say(f'part_{part}')}</span> {share:.0%}" in markup


def test_other_weights_have_no_atlas(analyzer):
    class Other:
        description = {**analyzer.description, "weights": "hf://someone/else"}  # noqa: RUF012

    assert "em-atlas" not in about_markup(Other())
