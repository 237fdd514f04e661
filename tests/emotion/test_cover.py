from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from emotion import Analyzer
from emotion.align import CROP_SIZE, template
from emotion.cover import PARTS, CoverTest, landmarks_on_crop, part_masks
from emotion.fills import inpaint_fill, smooth_fill

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights("embedded")


@pytest.fixture
def masks() -> npt.NDArray[np.bool_]:
    return part_masks(template())


def test_parts_lie_where_the_template_has_them(masks):
    left_eye, right_eye, nose, left_mouth, right_mouth = np.rint(template()).astype(int)
    held = dict(zip(PARTS, masks, strict=True))
    for x, y in (left_eye, right_eye):
        assert held["eyes"][y, x]
        assert held["brows"][y - 10, x]
        assert held["cheeks"][y + 15, x]
    assert held["brows"][left_eye[1] - 10, 32]  # the frown
    assert held["nose"][nose[1], nose[0]]
    for x, y in (left_mouth, right_mouth, (left_mouth + right_mouth) // 2):
        assert held["mouth"][y, x]
    assert held["chin"][left_mouth[1] + 11, 32]


def test_no_pixel_belongs_to_two_parts(masks):
    assert masks.sum(0).max() == 1
    assert masks.any((1, 2)).all()


def test_parts_turn_and_grow_with_the_landmarks(masks):
    centre = np.array([31.5, 31.5])
    turned = (template() - centre) @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + centre  # by 90 degrees
    assert (part_masks(turned) != np.rot90(masks, -1, axes=(1, 2))).mean() < 0.01
    half = part_masks((template() - centre) / 2 + centre)
    assert half[0].sum() < 0.4 * masks[0].sum()


def test_a_part_outside_the_crop_covers_nothing():
    masks = part_masks(template() + np.array([0, 30]))
    chin = PARTS.index("chin")
    assert not masks[chin].any()
    crop = np.arange(4096, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
    for fill in (smooth_fill, inpaint_fill):
        assert np.array_equal(fill(crop, masks)[chin], crop)


def test_a_fill_changes_what_is_covered_and_nothing_else(masks):
    crop = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    for fill in (smooth_fill, inpaint_fill):
        filled = fill(crop, masks)
        assert np.array_equal(filled[~masks], np.broadcast_to(crop, masks.shape)[~masks])
        assert (filled[masks] != np.broadcast_to(crop, masks.shape)[masks]).mean() > 0.9


def test_the_smooth_fill_continues_a_ramp(masks):
    # A plane solves Laplace's equation, so a fill that is right gives it back.
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    ramp = (2 * x + y).astype(np.uint8)
    inner = masks[: PARTS.index("chin")]
    off = np.abs(smooth_fill(ramp, inner).astype(int) - ramp)
    assert off.max() <= 6
    assert off.mean() < 0.2


def test_the_smooth_fill_is_within_its_surrounding(masks):
    crop = np.full((64, 64), 100, np.uint8)
    crop[masks[PARTS.index("mouth")]] = 255
    mouth = smooth_fill(crop, masks)[PARTS.index("mouth")]
    assert np.array_equal(mouth, np.full((64, 64), 100))


SMILE = [0.9, 0.02, 0.02, 0.02, 0.02, 0.02]


def make_test(
    own: list[float], covered: dict[str, list[float]], calm: dict[str, float] | None = None
) -> CoverTest:
    """A test of a face with the threshold at .5; ``calm`` by part, and by "" for the whole face."""
    rows = np.array([covered.get(part, own) for part in PARTS], np.float32)
    told = None
    if calm is not None:
        told = np.array([calm.get(part, 0.1) for part in ("", *PARTS)], np.float32)
    return CoverTest(np.array(own, np.float32), rows, part_masks(template()), 0.5, told)


def test_the_part_that_takes_most_is_decisive():
    weaker = [0.7, 0.22, 0.02, 0.02, 0.02, 0.02]
    test = make_test(SMILE, {"mouth": weaker, "eyes": [0.8, 0.12, 0.02, 0.02, 0.02, 0.02]})
    assert str(test.finding()) == "Without the mouth, Happiness falls from 90 to 70 %."


def test_a_cover_that_turns_the_answer_is_said_before_one_that_lowers_it():
    turned = [0.4, 0.55, 0.02, 0.01, 0.01, 0.01]
    lower = [0.35, 0.3, 0.3, 0.02, 0.02, 0.01]
    test = make_test(SMILE, {"brows": turned, "mouth": lower})
    assert str(test.finding()) == "Covering the brows turns Happiness into Surprise."


def test_an_answer_that_a_cover_makes_unsure_is_not_said_to_turn():
    lower = [0.35, 0.45, 0.15, 0.02, 0.02, 0.01]
    said = str(make_test(SMILE, {"mouth": lower}).finding())
    assert said == "Without the mouth, Happiness falls from 90 to 35 % and is no longer sure."


def test_a_cover_that_leaves_no_clear_expression_is_said():
    test = make_test(SMILE, {"eyes": [0.6, 0.3, 0.025, 0.025, 0.025, 0.025]}, {"mouth": 0.8})
    assert str(test.finding()) == "Without the mouth, no clear expression is left."


def test_an_answer_does_not_turn_into_a_class_that_a_calm_face_would_not_be_told():
    turned = [0.4, 0.55, 0.02, 0.01, 0.01, 0.01]
    test = make_test(SMILE, {"brows": turned}, {"brows": 0.7})
    assert test.finding().kind == "calmed"


def test_a_calm_face_is_explained_without_naming_an_expression_unless_asked_for_one():
    test = make_test(SMILE, {"mouth": [0.3, 0.3, 0.1, 0.1, 0.1, 0.1]}, {"": 0.9})
    said = str(test.finding())
    assert said == "Nothing here speaks clearly for one of the six expressions."
    assert str(test.finding(0)) == "Without the mouth, Happiness falls from 90 to 30 %."


def test_an_answer_that_was_not_sure_cannot_turn():
    own = [0.4, 0.35, 0.2, 0.02, 0.02, 0.01]
    test = make_test(own, {"mouth": [0.1, 0.85, 0.02, 0.01, 0.01, 0.01]})
    assert str(test.finding()) == "Without the mouth, Happiness falls from 40 to 10 %."


def test_where_no_part_takes_much_none_decides():
    test = make_test(SMILE, {"mouth": [0.85, 0.07, 0.02, 0.02, 0.02, 0.02]})
    assert str(test.finding()) == "No single part decides this."


def test_a_class_without_probability_has_almost_nothing_that_speaks_for_it():
    said = str(make_test(SMILE, {"mouth": [0.1] * 6}).finding(4))
    assert said == "Almost nothing here speaks for Disgust."


def test_the_analyzer_covers_what_it_says(analyzer, astronaut, hopper):
    for photo in (astronaut, hopper):
        (face,) = analyzer.analyze(photo)
        test = analyzer.explain(face)
        np.testing.assert_allclose(test.probabilities, face.probabilities, atol=1e-5)
        again, *_ = analyzer.classify(smooth_fill(face.crop, test.masks))
        np.testing.assert_allclose(test.covered, again, atol=1e-5)
        assert np.abs(test.covered - test.probabilities).max() > 0.05


def test_faces_are_explained_together_as_alone(analyzer, astronaut, hopper):
    faces = [analyzer.analyze(photo)[0] for photo in (astronaut, hopper)]
    unaligned = replace(faces[0], landmarks=None)
    first, nothing, second = analyzer.explain_all([faces[0], unaligned, faces[1]])
    assert nothing is None
    for test, face in ((first, faces[0]), (second, faces[1])):
        np.testing.assert_allclose(test.covered, analyzer.explain(face).covered, atol=1e-5)
    assert analyzer.explain_all([]) == []


def test_the_parts_of_a_face_that_was_not_aligned_are_not_known(analyzer, astronaut):
    (whole,) = analyzer.analyze(astronaut[60:180, 170:290], detect=False)
    assert analyzer.explain(whole) is None
    (face,) = analyzer.analyze(astronaut)
    assert np.abs(landmarks_on_crop(face) - template()).max() < 8
    assert landmarks_on_crop(replace(face, landmarks=face.landmarks[[1, 0, 2, 4, 3]])) is None
