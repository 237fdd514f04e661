"""While faces are followed, only their surroundings are searched, and nobody notices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

import emotion
from emotion import Analyzer
from emotion.analyzer import FRAME_SIDE
from emotion.detect import Face, RetinaFaceDetector
from emotion.detect.around import GRID, LARGE, is_inside, regions
from emotion.followed import Followed, View
from emotion.result import Faces
from emotion.tracker import ONE_VIEW_WITHIN, SEARCH_EVERY, Tracker
from tests.support.corpora import data_root

Pixels = npt.NDArray[np.uint8]

RATE = 20  # frames a second
CLIP = Path(emotion.__file__).parent / "assets/examples/clip.mp4"


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


@pytest.fixture(scope="module")
def detector() -> RetinaFaceDetector:
    return RetinaFaceDetector()


def square(x: float, y: float, side: float) -> Face:
    box = np.array([x, y, x + side, y + side], np.float32)
    return Face(box, np.zeros((5, 2), np.float32), 1.0)


def scene(astronaut: Pixels, x: int, *, second: bool = False) -> Pixels:
    """A frame of 320 x 240 with a face of about 45 px at x, and perhaps another at the right."""
    picture = np.full((240, 320, 3), 120, np.uint8)
    head = cv2.resize(astronaut[:240, 110:350], (100, 100), interpolation=cv2.INTER_AREA)
    picture[60:160, x : x + 100] = head
    if second:
        picture[100:200, 215:315] = head[:, ::-1]
    return picture


@given(st.floats(-50, 330), st.floats(-50, 250), st.floats(8, 240), st.integers(32, 400), st.data())
def test_a_part_shows_the_face_and_what_lies_around_it_on_the_detectors_grid(
    x, y, side, width, data
):
    height = data.draw(st.integers(32, 400))
    face = square(x, y, side)

    for x0, y0, x1, y1 in regions([face], width, height):
        assert x0 % GRID == y0 % GRID == 0
        assert x1 % GRID == 0 or x1 == width
        assert y1 % GRID == 0 or y1 == height
        reach = max(side / 4, 40 if side >= LARGE else 64)
        low, high = face.box[:2] - reach, face.box[2:] + reach
        assert (np.array([x0, y0]) <= np.maximum(low, 0)).all()
        assert (np.array([x1, y1]) >= np.minimum(high, [width, height])).all()
        assert (x1 - x0) * (y1 - y0) < width * height or side >= LARGE


def test_parts_that_make_up_the_picture_save_only_the_map_for_small_faces():
    assert regions([square(60, 20, 200)] * 2, 320, 240) == [(0, 0, 320, 240)] * 2
    assert len(regions([square(60, 60, 40)], 320, 240)) == 1
    assert regions([square(40 + 20 * i, 60, 40) for i in range(9)], 320, 240) == []
    assert regions([square(60, 20, 200), square(60, 20, 40)], 320, 240) == []
    assert regions([square(100, 100, 20)], 320, 240) == []


@pytest.mark.parametrize(
    ("x", "inside"), [(100, True), (32, False), (148, False), (68, True), (112, True)]
)
def test_the_place_of_a_face_is_not_believed_near_an_inner_border(x: int, inside: bool) -> None:
    assert is_inside(square(x, 20, 80), (32, 0, 224, 224), 320, 240) == inside
    assert is_inside(square(x, 20, 80), (0, 0, 320, 240), 320, 240)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_face_that_moved_is_found_where_the_whole_search_finds_it(
    detector: RetinaFaceDetector, astronaut: Pixels, scale: int
) -> None:
    first, second = (
        cv2.resize(scene(astronaut, x), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        for x in (100, 112)
    )
    known = detector.detect(first, max_side=FRAME_SIDE)

    again = detector.detect_around(second, known, max_side=FRAME_SIDE)

    (expected,) = detector.detect(second, max_side=FRAME_SIDE)
    assert again is not None
    width = expected.box[2] - expected.box[0]
    assert np.abs(again[0].box - expected.box).max() < 0.03 * width
    assert np.abs(again[0].landmarks - expected.landmarks).max() < 0.03 * width


def test_a_lost_face_is_looked_for_everywhere_at_once(
    analyzer: Analyzer, astronaut: Pixels
) -> None:
    faces = analyzer.cutter.find(scene(astronaut, 0), max_side=FRAME_SIDE)
    known = Followed(faces, [View.BOTH])

    faces = analyzer.analyze(scene(astronaut, 200), max_side=FRAME_SIDE, known=known)

    assert faces.whole
    assert len(faces) == 1
    blank = np.full((240, 320, 3), 120, np.uint8)
    assert analyzer.analyze(blank, max_side=FRAME_SIDE, known=known) == []


def test_two_known_faces_are_never_the_same_one(analyzer: Analyzer, astronaut: Pixels) -> None:
    (face,) = analyzer.cutter.find(scene(astronaut, 20), max_side=FRAME_SIDE)
    known = Followed([face, face], [View.BOTH, View.BOTH])

    faces = analyzer.analyze(scene(astronaut, 20), max_side=FRAME_SIDE, known=known)

    assert len(faces) == 1


def test_a_new_face_shows_within_a_third_of_a_second(analyzer: Analyzer, astronaut: Pixels) -> None:
    for start in range(round(SEARCH_EVERY * RATE)):  # of the second face, against the searches
        tracker, frames = Tracker(patient=True), 0
        for number in range(24):
            second = number >= 10 + start
            time_s, known = number / RATE, tracker.known(number / RATE)
            frame = scene(astronaut, 20, second=second)
            results = analyzer.analyze(frame, max_side=FRAME_SIDE, exact=False, known=known)
            faces = tracker.update(results, time_s)
            frames += second
            if sum(face.id > 0 for face in faces) == 2:
                break
        assert (frames - 1) / RATE <= 0.3


def test_a_face_on_its_head_or_in_a_crowd_is_searched_for_everywhere(
    analyzer: Analyzer, astronaut: Pixels
) -> None:
    (face,) = analyzer.analyze(scene(astronaut, 20), max_side=FRAME_SIDE)
    turned = replace(face, reason="turned")
    tracker = Tracker()
    assert tracker.known(0.0) is None

    def around(time_s: float) -> bool:
        known = tracker.known(time_s)
        assert known is not None
        return known.around

    tracker.update(Faces([face]), 0.0)
    assert around(0.05)
    assert not around(SEARCH_EVERY)
    tracker.update(Faces([face], found=2), 0.3)
    assert not around(0.35)
    tracker.update(Faces([turned]), 0.4)
    assert not around(0.45)
    tracker.update(Faces([face]), 0.5)
    tracker.update(Faces([face], whole=False), 0.6)
    assert around(0.65)
    assert not around(0.7)


def test_crop_and_mirror_image_of_a_followed_face_take_turns(
    analyzer: Analyzer, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Pixels] = []
    run = analyzer.classifier._run
    monkeypatch.setattr(
        analyzer.classifier, "_run", lambda crops: batches.append(crops) or run(crops)
    )
    tracker = Tracker(patient=True)

    def follow(time_s: float, *, second: bool = False) -> Pixels:
        frame, known = scene(astronaut, 20, second=second), tracker.known(time_s)
        faces = analyzer.analyze(frame, max_side=FRAME_SIDE, exact=False, known=known)
        tracker.update(faces, time_s)
        return batches[-1]

    crop, mirrored = follow(0.0)
    np.testing.assert_array_equal(mirrored, crop[:, ::-1])
    for number, expected in enumerate([mirrored, crop, mirrored], 1):
        (shown,) = follow(number / RATE)
        # The place may differ a bit; left and right do not.
        near, far = (
            np.abs(shown - one.astype(float)).mean() for one in (expected, expected[:, ::-1])
        )
        assert near < far / 4
    assert len(follow(SEARCH_EVERY, second=True)) == 1 + 2  # of a new face both
    assert (
        len(follow(2 * SEARCH_EVERY + ONE_VIEW_WITHIN, second=True)) == 2 + 2
    )  # after a pause, too


@pytest.mark.parametrize(
    "changes", [{"calm": 0.505}, {"probabilities": [0.48, 0.475, 0.045, 0, 0, 0]}]
)
def test_where_another_answer_is_near_both_views_are_looked_at(
    analyzer: Analyzer, astronaut: Pixels, changes: dict[str, Any]
) -> None:
    (face,) = analyzer.analyze(scene(astronaut, 20), max_side=FRAME_SIDE)
    values = {name: np.float32(value) for name, value in changes.items()}
    for shown, view in ((face, View.MIRRORED), (replace(face, **values), View.BOTH)):
        tracker = Tracker()
        tracker.update([shown], 0.0)
        known = tracker.known(0.05)
        assert known is not None
        assert known.views == [view]


@pytest.fixture(scope="module")
def turning_head() -> list[Pixels]:
    """The clip of the page, 480 x 270: CC BY 4.0, see ``emotion/assets/NOTICE.md``."""
    with av.open(str(CLIP)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


@pytest.mark.parametrize("width", [204, 240, 360])
def test_faces_of_any_size_are_found_again_where_the_whole_search_finds_them(
    detector: RetinaFaceDetector, turning_head: list[Pixels], width: int
) -> None:
    known: list[Face] = []
    parts = 0
    for number, picture in enumerate(turning_head):
        small = cv2.resize(picture, (width, width * 9 // 16), interpolation=cv2.INTER_AREA)
        frame = np.full((240, 320, 3), 110, np.uint8)
        left = max(0, width - 320) // 2
        frame[-len(small) :, : width - 2 * left] = small[:, left : width - left]
        expected = detector.detect(frame, max_side=FRAME_SIDE)
        again = detector.detect_around(frame, known, max_side=FRAME_SIDE) if number % 4 else None
        if again:
            off = np.abs(again[0].box - expected[0].box).max()
            assert off < 0.03 * (expected[0].box[2] - expected[0].box[0]), number
            parts += 1
        known = again or expected
    assert parts > 20


def test_a_large_face_is_found_without_the_map_for_small_ones(
    detector: RetinaFaceDetector, astronaut: Pixels
) -> None:
    picture = np.ascontiguousarray(astronaut[:240, 70:390])
    (expected,) = detector.detect(picture, max_side=FRAME_SIDE)
    assert expected.size > LARGE

    again = detector.detect_around(picture, [expected, expected], max_side=FRAME_SIDE)

    assert again is not None
    for face in again:
        np.testing.assert_allclose(face.box, expected.box, atol=1e-3)
        np.testing.assert_allclose(face.landmarks, expected.landmarks, atol=1e-3)


@pytest.mark.corpora
def test_on_a_turning_head_boxes_and_answers_stay_what_they_were(analyzer: Analyzer) -> None:
    path = data_root().parent / "media" / "head-pose-face-detection-female.gif"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {path.parent}")
    with Image.open(path) as clip:
        shown = [one.convert("RGB") for one in ImageSequence.Iterator(clip)]
    bound, parts, single = analyzer.network.config.abstain_below, 0, 0
    careful, quick = Tracker(bound, patient=True), Tracker(bound, patient=True)
    for number, one in enumerate(shown):
        frame = np.asarray(one.resize((320, 180)))
        everywhere = analyzer.analyze(frame, max_side=FRAME_SIDE, exact=False)
        (expected,) = careful.update(everywhere, number / RATE)
        known = quick.known(number / RATE)
        around = analyzer.analyze(frame, max_side=FRAME_SIDE, exact=False, known=known)
        (face,) = quick.update(around, number / RATE)
        box, other = expected.face.box, face.face.box
        assert box is not None
        assert other is not None
        assert np.abs(box - other).max() < 0.03 * (box[2] - box[0])
        assert face.answer == expected.answer
        parts += not around.whole
        single += known is not None and known.views != [View.BOTH]
    assert parts > 10
    assert single > 0
