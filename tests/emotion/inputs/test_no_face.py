"""What is no face does not come before one, is never sure, and opens no track."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from emotion import Analyzer
from emotion.align import template
from emotion.detect import Face
from emotion.detect.plausible import has_face_shape, plausible_faces
from emotion.images import decode_image
from emotion.reliability import RELIABLE
from emotion.shell.cli import main
from emotion.tracker import Tracker
from tests.support.videos import sightings

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


def test_the_case_of_lights_behind_one_person(analyzer: Analyzer, cases: Path) -> None:
    _, seen = sightings(analyzer, cases / "ghost-faces" / "in.mp4")

    assert {one.face for one in seen} == {1}
    assert {one.frame for one in seen} == set(range(90))


def test_the_case_of_a_weak_detection_that_is_larger(analyzer: Analyzer, cases: Path) -> None:
    faces = analyzer.analyze(decode_image(cases / "largest-is-no-face" / "in.png"))

    assert (faces[0].label, faces[0].sure) == ("happiness", True)
    assert faces[0].box is not None
    assert faces[0].box[0] > 570
    assert all((face.reason, face.sure) == ("perhaps no face", False) for face in faces[1:])


def face(
    x: float = 50, y: float = 50, side: float = 64, score: float = 0.99, degrees: float = 0
) -> Face:
    """A face whose landmarks are the template's, turned in the plane about its middle."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = (template() - 31.5) @ turn * (side / 64) + (x + side / 2, y + side / 2)
    box = np.array([x, y, x + side, y + side], np.float32)
    return Face(box, points.astype(np.float32), score)


@pytest.fixture
def noise() -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8).repeat(2, 0)


def test_reliable_faces_come_first_and_of_each_kind_the_largest(noise: Pixels) -> None:
    found = [
        face(0, 0, 300, 0.7), face(320, 0, 40), face(320, 100, 60), face(320, 200, 50, 0.6),
        face(0, 350, 45, RELIABLE),
    ]  # fmt: skip

    chosen = [one.size for one in plausible_faces(noise, found)]

    assert chosen == pytest.approx([60, 45, 40, 300, 50])


def test_a_second_box_on_a_head_is_left_out_and_a_neighbour_stays(noise: Pixels) -> None:
    head, chin, neighbour = face(0, 0, 100), face(20, 30, 60, 0.97), face(80, 10, 90)

    assert plausible_faces(noise, [chin, head, neighbour]) == [head, neighbour]


def test_boxes_on_even_ground_are_left_out(noise: Pixels) -> None:
    noise[:100, :100] = 128 + noise[:100, :100] // 64

    kept = plausible_faces(noise, [face(10, 10, 80, 0.95), face(200, 200)])

    assert [one.box[0] for one in kept] == [200]


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, 270])
def test_landmarks_of_a_face_are_plausible_however_it_is_turned(degrees: float) -> None:
    turned = face(degrees=degrees)

    assert has_face_shape(turned.landmarks, turned.box)


@pytest.mark.parametrize(
    "change",
    [
        lambda points: points[[1, 0, 2, 4, 3]],
        lambda points: points[[1, 0, 2, 3, 4]],
        lambda points: points[[3, 4, 2, 0, 1]],
        lambda points: points + np.array([[0, 0], [0, 0], [0, 40], [0, 0], [0, 0]]),
        lambda points: points + np.array([[0, 0], [0, 0], [40, 0], [0, 0], [0, 0]]),
        lambda points: points * 0 + 60,
        lambda points: (points - 80) * 4 + 80,
        lambda points: points * np.nan,
    ],
    ids=["mirrored", "eyes", "upside down", "nose down", "nose aside", "point", "large", "nan"],
)
def test_landmarks_that_no_face_has_are_not(change: object) -> None:
    assert callable(change)
    one = face()

    assert not has_face_shape(change(one.landmarks), one.box)


def test_a_weak_detection_is_not_sure_and_a_higher_bar_drops_it(
    analyzer: Analyzer, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = analyzer.detector.detect(astronaut)

    def weaker(image: Pixels, *, min_score: float = 0.5, **_: object) -> list[Face]:
        return [replace(one, score=0.8) for one in whole if min_score <= 0.8]

    monkeypatch.setattr(analyzer.detector, "detect", weaker)

    (result,) = analyzer.analyze(astronaut)
    assert (result.label, result.sure, result.reason) == ("happiness", False, "perhaps no face")
    assert analyzer.analyze(astronaut, min_score=0.85) == []


def test_the_shell_takes_a_lowest_score(tmp_path: Path, astronaut: Pixels) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), astronaut[:, :, ::-1])
    table = tmp_path / "out.csv"

    assert main(["classify", str(tmp_path / "a.png"), "--min-score", "1", "--csv", str(table)]) == 0
    assert table.read_text("utf-8").splitlines()[1].endswith(",,,,,,")
    with pytest.raises(SystemExit):
        main(["classify", "a.png", "--min-score", "1.5"])


def test_a_patient_tracker_opens_at_the_third_frame_or_after_03_s(
    analyzer: Analyzer, astronaut: Pixels
) -> None:
    (one,) = analyzer.analyze(astronaut)

    def ids(tracker: Tracker, times: list[float], score: float = 0.99) -> list[int]:
        result = replace(one, score=score)
        return [tracker.update([result], time_s)[0].id for time_s in times]

    assert ids(Tracker(patient=True), [0, 0.03, 0.06, 0.09]) == [0, 0, 1, 1]
    assert ids(Tracker(patient=True), [0, 0.5]) == [0, 1]
    assert ids(Tracker(), [0]) == [1]
    assert ids(Tracker(patient=True), [0, 0.03, 0.06, 0.5], 0.8) == [0] * 4
    tracker = Tracker(patient=True)
    tracked = [tracker.update([one], time_s)[0] for time_s in (0, 0.03, 0.06)]
    assert [seen.id for seen in tracked] == [1, 1, 1]  # those of earlier frames too
