from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from emotion import align
from train.config.faces import AlignConfig
from train.corpora import Corpus, load_corpus
from train.faces import align_rows as alignment
from train.faces import fingerprint
from train.faces.fingerprint import golden_crops, is_golden, of_aligned, of_prepared


@pytest.fixture(scope="module")
def drawn() -> list[Corpus]:
    return [load_corpus("synthetic", "70")]


def test_the_golden_crops_are_as_recorded() -> None:
    """If not: raise ``ALIGNING`` and write ``golden_crops()`` to ``GOLDEN``."""
    crops = golden_crops()

    assert crops.shape == (64, 192)
    assert is_golden(crops)


def test_what_processors_differ_by_is_no_difference(random: np.random.Generator) -> None:
    crops = golden_crops().astype(int)
    by_a_level = crops + random.choice([-1, 0, 1], crops.shape, p=[0.2, 0.6, 0.2])

    assert is_golden(np.clip(by_a_level, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("pixels", [0.25, -0.25])
def test_a_quarter_of_a_pixel_is_a_difference(pixels: float) -> None:
    shift = np.float64([[1, 0, pixels], [0, 1, 0]])
    moved = cv2.warpAffine(golden_crops(), shift, (192, 64), borderMode=cv2.BORDER_REPLICATE)

    assert not is_golden(moved)


def test_crops_that_come_out_otherwise_are_new_work(
    drawn: list[Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_aligned(drawn, AlignConfig())

    def nearest(image: npt.NDArray[np.uint8], points: object, zoom: float) -> object:
        crop, matrix = align.align_face(image, points, zoom)  # type: ignore[arg-type]
        return cv2.resize(crop[::2, ::2], (64, 64), interpolation=cv2.INTER_NEAREST), matrix

    monkeypatch.setattr(alignment, "align_face", nearest)
    assert of_aligned(drawn, AlignConfig()) != before


@pytest.mark.parametrize("version", ["ALIGNING", "CHOOSING"])
def test_another_version_is_new_work(
    drawn: list[Corpus], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    before = of_aligned(drawn, AlignConfig()), of_prepared(drawn, AlignConfig())

    monkeypatch.setattr(fingerprint, version, getattr(fingerprint, version) + 1)

    assert of_prepared(drawn, AlignConfig()) != before[1]
    assert (of_aligned(drawn, AlignConfig()) != before[0]) == (version == "ALIGNING")
