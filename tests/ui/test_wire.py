from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest

from emotion.align import CROP_SIZE, warp
from emotion.analyzer import Analyzer
from emotion.errors import ImageError
from emotion.images import decode_image
from emotion.ui.wire import data_url, face_geometry, heat_bytes, read_data_url


def url_of(content: bytes, mime: str = "image/jpeg") -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def test_a_data_url_gives_its_bytes_back():
    assert read_data_url(url_of(b"picture"), limit=7) == b"picture"


def test_a_data_url_above_the_limit_is_refused():
    with pytest.raises(ImageError, match="larger"):
        read_data_url(url_of(b"x" * 3000), limit=2000)


@pytest.mark.parametrize(
    "url",
    [
        None,
        3,
        b"data:image/jpeg;base64,AAAA",
        "",
        "data:",
        "data:image/jpeg",
        "data:image/jpeg,AAAA",
        "data:image/jpeg;base64,A*A=",
        "data:image/jpeg;base64,ÄÖÜ",
        "https://example.org/face.jpg",
        "file:///etc/passwd",
        url_of(b"x", "image/png"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(url):
    with pytest.raises(ImageError):
        read_data_url(url, limit=2000, mime="image/jpeg")


def test_a_picture_survives_its_data_url():
    picture = np.tile(np.arange(0, 240, 8, dtype=np.uint8)[:, None, None], (1, 20, 3))
    back = decode_image(read_data_url(data_url(picture, "image/png"), limit=10_000))
    assert np.array_equal(back, picture)


def test_geometry_is_in_fractions_of_the_picture(analyzer: Analyzer, astronaut):
    wide = np.ascontiguousarray(astronaut[:400])
    face = analyzer.analyze(wide)[0]
    geometry = face_geometry(face, wide.shape[1], wide.shape[0])
    assert geometry["box"] == pytest.approx(face.box / [512, 400, 512, 400], abs=1e-4)
    assert sum(geometry["probabilities"]) == pytest.approx(1, abs=1e-4)


def test_place_maps_the_crop_onto_the_face(analyzer: Analyzer, astronaut):
    """Pulling the picture back through ``place`` must give the crop that the network saw."""
    wide = np.ascontiguousarray(astronaut[:400])
    face = analyzer.analyze(wide)[0]
    a, b, c, d, e, f = face_geometry(face, 512, 400)["place"]
    forward = np.array([[a * 512, c * 512, e * 512], [b * 400, d * 400, f * 400]])
    # From fractions of the crop and pixel borders to crop pixels and pixel centres.
    linear = forward[:, :2] / CROP_SIZE
    shift = forward[:, 2] + linear @ [0.5, 0.5] - 0.5
    inverse = np.linalg.inv(linear)
    crop = warp(wide, np.column_stack([inverse, -inverse @ shift]))
    grey = crop @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey - face.crop).mean() < 2


def test_the_whole_picture_is_placed_on_its_middle_square(analyzer: Analyzer):
    (face,) = analyzer.analyze(np.zeros((200, 400, 3), np.uint8), detect=False)
    geometry = face_geometry(replace(face, sure=False, calm=0.7), 400, 200)
    assert geometry["box"] is None
    assert geometry["sure"] is False
    assert (geometry["calm"], geometry["answer"]) == (0.7, "no clear expression")
    assert geometry["place"] == pytest.approx([0.5, 0, 0, 1, 0.25, 0], abs=1e-6)


def test_heat_is_bytes_relative_to_the_strongest_map_of_the_face(analyzer: Analyzer, astronaut):
    (face,) = analyzer.analyze(astronaut)
    cams = np.zeros((6, 8, 8), np.float32)
    cams[2] = np.linspace(0, 0.25, 64).reshape(8, 8)
    cams[4] = cams[2] / 5
    strongest, weaker = (heat_bytes(replace(face, cams=cams), index) for index in (2, 4))
    assert (strongest["cells"][0], strongest["cells"][-1]) == (0, 255)
    assert weaker["cells"][-1] == 51
    assert strongest["max"] == weaker["max"] == pytest.approx(0.25)


def test_no_evidence_is_no_heat(analyzer: Analyzer, astronaut):
    (face,) = analyzer.analyze(astronaut)
    empty = replace(face, cams=np.zeros((6, 8, 8), np.float32))
    assert heat_bytes(empty, 0) == {"cells": [0] * 64, "max": 0.0}
