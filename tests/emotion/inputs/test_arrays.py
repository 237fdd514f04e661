"""Arrays as other libraries hand them over are decoded, or refused in one sentence."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from emotion import Analyzer
from emotion.analyzer import FRAME_SIDE
from emotion.errors import ImageError
from emotion.images import decode_image

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


def test_the_case_is_decoded_or_refused_in_a_sentence(
    cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(cases / "array-input" / "try.py"))

    answers = {line[:30].strip(): line[31:] for line in capsys.readouterr().out.splitlines()}
    for name in ("uint8 RGB", "float 0..1", "grey", "RGBA", "int64"):
        assert answers[name].startswith("[('happiness'"), name
    assert "is a batch" in answers["batch of 2"]
    assert "only None" in answers["cv2.imread of a missing file"]
    assert "photo.jpg does not exist" in answers["a path"]


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: photo / np.float32(255),
        lambda photo: photo.astype(np.float16) / 255,
        lambda photo: photo.astype(np.uint16) * 257,
        lambda photo: photo.astype(np.int32),
        lambda photo: photo[:, :, ::-1][:, :, ::-1],
        lambda photo: np.asfortranarray(photo),
        lambda photo: np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]),
        lambda photo: photo.mean(2).astype(np.uint8),
        lambda photo: photo.mean(2).astype(np.uint8)[:, :, None],
        lambda photo: Image.fromarray(photo),
        lambda photo: Image.fromarray(photo).convert("CMYK"),
    ],
)
def test_what_shows_the_same_face_gets_the_same_answer(
    analyzer: Analyzer, astronaut: Pixels, change: object
) -> None:
    assert callable(change)

    (face,) = analyzer.analyze(change(astronaut))
    (frame,) = analyzer.analyze(change(astronaut), max_side=FRAME_SIDE, exact=False)

    assert (face.label, frame.label) == ("happiness", "happiness")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "only None"),
        (np.zeros((2, 9, 9, 3), np.uint8), "is a batch"),
        (np.zeros((3, 64, 64), np.uint8), "channels first"),
        (np.full((9, 9, 3), 255.0), "from 0 to 1"),
        (np.full((9, 9, 3), -1), "from 0 to 255"),
        (np.full((9, 9, 3), 1 << 20), "from 0 to 255"),
        (np.full((9, 9), None), "type object"),
        ([[0, 1], [1, 0]], "A list is not a picture"),
        (torch.zeros(3, 8, 8), "A Tensor is not a picture"),
        (7, "A int is not a picture"),
        ("", "is a folder"),
        ("gone\0.jpg", "cannot be opened"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
    ],
)
def test_what_is_no_picture_is_one_sentence(analyzer: Analyzer, source: object, words: str) -> None:
    for call in (analyzer.analyze, decode_image):
        with pytest.raises(ImageError, match=words) as caught:
            call(source)  # type: ignore[operator]
        assert "\n" not in str(caught.value)


def test_crops_and_detections_of_another_type_are_refused(
    analyzer: Analyzer, astronaut: Pixels
) -> None:
    with pytest.raises(ImageError, match="Crops are uint8"):
        analyzer.classify(np.zeros((1, 64, 64), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="The detector takes uint8"):
        analyzer.detector.detect(astronaut / 255.0)  # type: ignore[arg-type]
