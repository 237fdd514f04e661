"""Faces that are covered, cut off or turned are not sure, and whole ones stay so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.doubts import cut_a_third, draw_glasses, draw_mask
from emotion import Analyzer
from emotion.align import template
from emotion.covered import cell_features, is_covered
from emotion.detect import Face
from emotion.doubt import REASONS, is_cut_off, reason_for_doubt
from emotion.labels import NOT_SURE
from emotion.result import FaceResult
from emotion.ui.strings import LANGUAGES, say
from emotion.upright import fit

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


def only(analyzer: Analyzer, picture: Pixels) -> FaceResult:
    return analyzer.analyze(np.ascontiguousarray(picture), max_faces=1)[0]


def test_whole_portraits_have_no_reason_for_doubt(
    analyzer: Analyzer, astronaut: Pixels, hopper: Pixels
) -> None:
    for picture in (astronaut, hopper, astronaut[:, ::-1], astronaut // 3):
        assert only(analyzer, picture).reason is None


@pytest.mark.parametrize("draw", [draw_mask, draw_glasses])
def test_masks_and_dark_glasses_are_covers(
    analyzer: Analyzer, astronaut: Pixels, hopper: Pixels, draw: object
) -> None:
    assert callable(draw)
    random, reasons = np.random.default_rng(1), []
    for picture in (astronaut, hopper):
        whole = only(analyzer, picture)
        assert whole.landmarks is not None
        for _ in range(5):
            face = only(analyzer, draw(picture, whole.landmarks.astype(float), random))
            reasons.append(face.reason)
            assert face.sure is False or face.reason is None

    assert reasons.count("covered") >= 8


def test_an_upside_down_portrait_is_set_upright_and_says_so(
    analyzer: Analyzer, astronaut: Pixels, hopper: Pixels
) -> None:
    for picture in (astronaut, hopper):
        whole, turned = only(analyzer, picture), only(analyzer, picture[::-1, ::-1])

        assert (turned.reason, turned.sure, turned.answer) == ("turned", False, NOT_SURE)
        assert whole.landmarks is not None
        assert turned.landmarks is not None
        assert turned.box is not None
        assert whole.box is not None
        size = np.array([picture.shape[1], picture.shape[0]])
        width = whole.box[2] - whole.box[0]
        assert np.abs(size - 1 - turned.landmarks - whole.landmarks).max() < 0.1 * width
        assert np.abs((size - turned.box.reshape(2, 2))[::-1].ravel() - whole.box).max() < width / 6
        assert np.corrcoef(turned.crop.ravel(), whole.crop.ravel())[0, 1] > 0.7


def test_a_face_that_lies_on_its_side_is_turned(analyzer: Analyzer, astronaut: Pixels) -> None:
    for turns in (1, 3):
        faces = analyzer.analyze(np.ascontiguousarray(np.rot90(astronaut[:300, 60:360], turns)))

        assert all(face.reason is not None and not face.sure for face in faces)


@pytest.mark.parametrize("seed", range(4))
def test_a_face_without_a_third_is_cut_off(
    analyzer: Analyzer, hopper: Pixels, astronaut: Pixels, seed: int
) -> None:
    for picture in (astronaut, hopper):
        whole = only(analyzer, picture)
        assert whole.box is not None
        rest = cut_a_third(picture, whole.box, np.random.default_rng(seed))
        faces = analyzer.analyze(rest)
        assert all(face.reason is not None and not face.sure for face in faces)


def placed(x: float, y: float) -> tuple[Face, npt.NDArray[np.float64]]:
    """A face of 64 px whose crop begins at x, y."""
    box = np.array([x + 4, y, x + 60, y + 64], np.float32)
    face = Face(box, (template() + np.array([x, y])).astype(np.float32), 0.99)
    return face, np.array([[1.0, 0.0, -x], [0.0, 1.0, -y]])


@pytest.mark.parametrize(
    ("x", "y", "cut"),
    [(0, 0, False), (60, 20, False), (-20, 20, True), (60, -30, True), (120, 20, True)],
)
def test_a_border_cuts_a_face_where_skin_or_a_landmark_is_missing(
    x: float, y: float, cut: bool
) -> None:
    face, matrix = placed(x, y)

    assert is_cut_off(face, matrix, (160, 120)) is cut


def test_the_reasons_come_in_their_order(astronaut: Pixels) -> None:
    face, matrix = placed(-40, 0)
    crop = np.full((64, 64), 90, np.uint8)
    weak = Face(face.box, face.landmarks, 0.6)

    assert reason_for_doubt(weak, matrix, crop, (99, 99), turned=True) == "perhaps no face"
    assert reason_for_doubt(face, matrix, crop, (99, 99), turned=True) == "turned"
    assert reason_for_doubt(face, matrix, crop, (99, 99)) == "cut off"


@pytest.mark.parametrize("degrees", [0, 40, 90, 180])
def test_the_fit_says_by_how_much_a_face_leans(degrees: float) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    roll, residual = fit(template() @ turn * 3 + 50)

    assert roll == pytest.approx(degrees, abs=0.01)
    assert residual == pytest.approx(0, abs=1e-6)
    assert fit(np.zeros((5, 2))) == (180.0, float("inf"))


def test_light_and_contrast_do_not_change_a_crops_features(
    analyzer: Analyzer, astronaut: Pixels
) -> None:
    crop = only(analyzer, astronaut).crop

    dark = (crop * 0.5 + 20).astype(np.uint8)

    assert cell_features(crop).shape == (192,)
    assert np.abs(cell_features(dark) - cell_features(crop)).mean() < 0.1
    assert is_covered(crop) is is_covered(dark) is False


def test_every_reason_is_said_in_both_languages() -> None:
    for reason in REASONS:
        words = {say(f"doubt_{reason.replace(' ', '_')}", language) for language in LANGUAGES}
        assert len(words) == len(LANGUAGES)
