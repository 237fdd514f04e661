"""What Python gets: one line, one dictionary, one row per face; lists, threads and processes."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from emotion import emotion_columns, to_frame
from emotion.analyzer import Analyzer
from emotion.errors import ConfigError, ImageError, WeightsError
from emotion.labels import LABELS
from emotion.result import FaceResult
from tests.conftest import REPOSITORY

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights("embedded")


@pytest.fixture
def face(analyzer: Analyzer, astronaut: Pixels) -> FaceResult:
    (found,) = analyzer.analyze(astronaut)
    return found


def test_a_face_prints_as_one_short_line(face: FaceResult) -> None:
    assert face.box is not None
    width, height = (face.box[2:] - face.box[:2]).round().astype(int)

    assert repr(face).startswith("<happiness ")
    assert f"{width}x{height} px at " in repr(face)
    assert len(repr([face])) < 80


def test_an_answer_that_is_not_sure_prints_its_reason_and_candidates(face: FaceResult) -> None:
    doubted = replace(face, sure=False, reason="covered", box=None)

    assert repr(doubted).startswith("<not sure (covered): happiness ")
    assert face.candidates[1] in repr(doubted)


def test_a_dictionary_is_json_with_the_numbers_rounded_once(face: FaceResult) -> None:
    said = json.loads(json.dumps(face.to_dict()))

    assert list(said["probabilities"]) == list(LABELS)
    for name, value in zip(LABELS, face.probabilities, strict=True):
        assert said["probabilities"][name] == round(float(value), 5)
    assert said["box"] == pytest.approx(face.box, abs=0.005)
    assert np.shape(said["landmarks"]) == (5, 2)
    assert (said["label"], said["answer"], said["sure"]) == (face.label, face.answer, face.sure)


def test_a_list_is_answered_as_its_pictures_are_one_by_one(
    analyzer: Analyzer, astronaut: Pixels, hopper: Pixels, tmp_path: Path
) -> None:
    Image.fromarray(hopper).save(tmp_path / "hopper.png")
    content = (tmp_path / "hopper.png").read_bytes()
    blank = np.zeros((50, 60, 3), np.uint8)

    several = analyzer.analyze([astronaut, tmp_path / "hopper.png", blank, content])

    assert [len(faces) for faces in several] == [1, 1, 0, 1]
    for faces, one in zip(several, [astronaut, hopper, blank, hopper], strict=True):
        for result, alone in zip(faces, analyzer.analyze(one), strict=True):
            np.testing.assert_allclose(result.probabilities, alone.probabilities, atol=1e-5)
            np.testing.assert_allclose(result.cams, alone.cams, atol=1e-5)
            assert result.reason == alone.reason
    assert analyzer.analyze([]) == []


def test_more_faces_than_a_forward_pass_takes_are_all_answered(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotion.analyzer._BATCH", 2)
    crops = [np.full((64, 64, 3), 40 * number, np.uint8) for number in range(5)]

    several = analyzer.analyze(crops, detect=False)

    assert [face.crop[0, 0] for (face,) in several] == [0, 40, 80, 120, 160]


def test_a_broken_picture_of_a_list_is_named(analyzer: Analyzer, astronaut: Pixels) -> None:
    with pytest.raises(ImageError, match=r"Picture 2 of 2: .* not a picture"):
        analyzer.analyze([astronaut, b"hello"])


def test_bgr_is_rgb_with_its_channels_swapped(analyzer: Analyzer, astronaut: Pixels) -> None:
    red = astronaut.copy()
    red[..., 1:] //= 4  # so that the order of the channels changes the grey picture

    (right,) = analyzer.analyze(red)
    (swapped,) = analyzer.analyze(red[..., ::-1], bgr=True)
    (wrong,) = analyzer.analyze(red[..., ::-1])

    np.testing.assert_array_equal(right.crop, swapped.crop)
    assert np.abs(right.crop.astype(int) - wrong.crop).mean() > 5


def test_bgr_of_what_is_no_array_is_refused(analyzer: Analyzer) -> None:
    with pytest.raises(ImageError, match="leave it out"):
        analyzer.analyze("portrait.jpg", bgr=True)


def test_faces_become_a_table(analyzer: Analyzer, astronaut: Pixels, face: FaceResult) -> None:
    one = to_frame([face])
    several = to_frame(analyzer.analyze([np.zeros((50, 50, 3), np.uint8), astronaut]))

    assert one.loc[0, "label"] == "happiness"
    assert one.loc[0, list(LABELS)].sum() == pytest.approx(1, abs=1e-4)
    assert face.box is not None
    assert one.loc[0, "x"] + one.loc[0, "width"] == pytest.approx(face.box[2], abs=0.02)
    assert several["picture"].tolist() == [1]
    assert to_frame([]).empty
    assert list(to_frame([]).columns) == list(one.columns)


def test_importing_the_package_and_a_face_needs_no_pandas() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None; import emotion, emotion.table;"
        "from emotion.errors import ConfigError\n"
        "try: emotion.to_frame([])\n"
        "except ConfigError as error: print(error)"
    )

    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert "pip install pandas" in run.stdout


def test_columns_of_a_dataset_have_a_row_per_picture(
    astronaut: Pixels, tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Analyzer, "from_weights", lambda *_, **__: analyzer)
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    stored = [
        {"bytes": None, "path": str(tmp_path / "a.png")},
        {"bytes": b"broken", "path": "b.png"},
        {"bytes": content, "path": None},
        Image.new("RGB", (60, 60)),
    ]

    columns = emotion_columns({"photo": stored}, image="photo")

    assert columns["label"] == ["happiness", None, "happiness", None]
    assert [error is None for error in columns["error"]] == [True, False, True, True]
    assert columns["happiness"][0] == columns["happiness"][2] > 0.5
    with pytest.raises(ConfigError, match="'image'"):
        emotion_columns({"photo": stored})


def test_eight_threads_share_an_analyzer(
    analyzer: Analyzer, astronaut: Pixels, hopper: Pixels
) -> None:
    photos = [astronaut, hopper, astronaut[:, ::-1], hopper[:, ::-1]]
    expected = [analyzer.analyze(photo)[0] for photo in photos]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda at: analyzer.analyze(photos[at % 4]), range(24)))

    for at, (face,) in enumerate(answers):
        np.testing.assert_array_equal(face.crop, expected[at % 4].crop)
        np.testing.assert_allclose(face.probabilities, expected[at % 4].probabilities, atol=1e-6)
        np.testing.assert_allclose(face.cams, expected[at % 4].cams, atol=1e-6)


@pytest.fixture(scope="module")
def copy(analyzer: Analyzer) -> Analyzer:
    return pickle.loads(pickle.dumps(analyzer))


def test_a_pickled_analyzer_answers_the_same(
    analyzer: Analyzer, copy: Analyzer, astronaut: Pixels
) -> None:
    assert len(pickle.dumps(analyzer)) < 500
    (one,), (other,) = analyzer.analyze(astronaut), copy.analyze(astronaut)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


@pytest.mark.slow  # another process loads torch and the weights
def test_a_spawned_process_takes_an_analyzer(analyzer: Analyzer, astronaut: Pixels) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        ((face,),) = pool.map(analyzer.analyze, [astronaut])
    np.testing.assert_allclose(
        face.probabilities, analyzer.analyze(astronaut)[0].probabilities, atol=1e-4
    )


def test_an_analyzer_that_was_put_together_by_hand_says_why_it_cannot_be_pickled(
    analyzer: Analyzer,
) -> None:
    with pytest.raises(ConfigError, match="from_weights"):
        pickle.dumps(Analyzer(analyzer.network, analyzer.detector))


def test_weights_that_changed_meanwhile_are_refused(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert analyzer.source is not None
    monkeypatch.setattr(analyzer, "source", replace(analyzer.source, digest="0" * 64))
    data = pickle.dumps(analyzer)

    with pytest.raises(WeightsError, match="others than those"):
        pickle.loads(data)


@pytest.mark.slow  # two processes load the weights
def test_datasets_maps_the_columns_in_several_processes(
    astronaut: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset
    from datasets import Image as ImageFeature

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    paths = []
    for number in range(6):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(np.roll(astronaut, number, 0)).save(paths[-1])
    pictures = Dataset.from_dict({"image": paths}).cast_column("image", ImageFeature(decode=False))

    mapped = pictures.map(emotion_columns, batched=True, batch_size=2, num_proc=2)

    assert mapped["label"][:] == ["happiness"] * 6
