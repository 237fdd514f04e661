from __future__ import annotations

import base64

import numpy as np
import pytest

from emotion.cover import PARTS
from emotion.fills import smooth_fill
from emotion.ui.covering import brush, mask_text
from emotion.ui.gate import Gate
from emotion.ui.wire import data_url


@pytest.fixture(scope="module")
def cover_face(serving):
    return brush(serving, Gate(1))


@pytest.fixture
def face(analyzer, astronaut):
    return analyzer.analyze(astronaut)[0]


def test_a_covered_place_is_answered_as_the_cover_test_does(cover_face, analyzer, face):
    test = analyzer.explain(face)
    mouth = PARTS.index("mouth")
    answer = cover_face(
        {"crop": data_url(face.crop, "image/png"), "mask": mask_text(test.masks[mouth])}
    )
    assert answer["probabilities"] == pytest.approx(test.covered[mouth].tolist(), abs=1e-4)
    covered = smooth_fill(face.crop, test.masks[mouth : mouth + 1])[0]
    assert answer["crop"] == data_url(covered, "image/png")
    assert answer["answer"] == "happiness"


def test_nothing_covered_is_the_face_as_it_is(cover_face, face):
    nothing = mask_text(np.zeros((64, 64), np.bool_))
    answer = cover_face({"crop": data_url(face.crop, "image/png"), "mask": nothing})
    assert answer["probabilities"] == pytest.approx(face.probabilities.tolist(), abs=1e-4)


def test_all_covered_is_still_an_answer(cover_face, face):
    everything = mask_text(np.ones((64, 64), np.bool_))
    answer = cover_face({"crop": data_url(face.crop, "image/png"), "mask": everything})
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-3)


GREY = data_url(np.full((64, 64), 128, np.uint8), "image/png")
EMPTY = base64.b64encode(bytes(512)).decode()


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"crop": GREY},
        {"crop": GREY, "mask": 3},
        {"crop": GREY, "mask": "not base64!"},
        {"crop": GREY, "mask": EMPTY[:-8]},
        {"crop": data_url(np.zeros((65, 64), np.uint8), "image/png"), "mask": EMPTY},
        {"crop": "data:image/png;base64,AAAA", "mask": EMPTY},
        {"crop": "/etc/passwd", "mask": EMPTY},
    ],
)
def test_what_is_no_covered_face_is_refused(cover_face, payload, caplog):
    answer = cover_face(payload)
    assert answer["error"] == "internal"
    assert answer["detail"].endswith(".")
    assert not caplog.records
