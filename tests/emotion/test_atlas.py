from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from emotion.atlas import Atlas, atlas_svg, panel, read_atlas
from emotion.labels import LABELS


@pytest.fixture
def atlas() -> Atlas:
    maps = np.zeros((6, 8, 8))
    maps[0, 6, 3:5] = 0.4
    decisive = np.zeros((6, 7))
    decisive[0, 3], decisive[0, 6] = 0.75, 0.25
    decisive[1:, 6] = 1
    return Atlas("abc", 1.3, (4, 1, 1, 1, 1, 1), maps.tolist(), decisive.tolist())


def test_an_atlas_is_read_as_it_was_written(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "atlas.json").write_text(atlas.to_json(), "utf-8")
    read = read_atlas(tmp_path / "atlas.json")
    assert read is not None
    assert (read.weights, read.maps, read.decisive) == (atlas.weights, atlas.maps, atlas.decisive)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weights": 1}'])
def test_what_is_no_atlas_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "atlas.json").write_text(content, "utf-8")
    assert read_atlas(tmp_path / "atlas.json") is None
    assert read_atlas(tmp_path / "missing.json") is None


def test_the_part_that_decides_most_often_is_named(atlas: Atlas) -> None:
    assert atlas.most_decisive(0) == ("mouth", 0.75)
    assert atlas.most_decisive(1) is None


def test_the_figure_is_a_picture_with_every_class(atlas: Atlas) -> None:
    drawn = atlas_svg(atlas)
    texts = [node.text for node in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert [name.capitalize() for name in LABELS] == texts[::2]
    assert texts[1] == "mouth: decisive in 75% of 4"
    assert panel(atlas, 0) != panel(atlas, 1)
