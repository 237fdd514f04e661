from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from emotion.align import CROP_SIZE, template
from emotion.regions import REGIONS, focus, region_map


def cam_at(x: float, y: float) -> np.ndarray:
    """A map with all its evidence in the cell of a crop pixel."""
    cam = np.zeros((8, 8), np.float32)
    cam[int(y // 8), int(x // 8)] = 1.0
    return cam


@pytest.mark.parametrize(
    ("point", "offset", "region"),
    [
        (0, (0, 0), "eyes"),
        (1, (0, 0), "eyes"),
        (2, (0, 0), "nose"),
        (3, (4, 0), "mouth"),
        (4, (-4, 0), "mouth"),
        (0, (0, -9), "brows"),
        (0, (-2, 18), "cheeks"),
    ],
)
def test_a_landmark_lies_in_the_region_of_its_name(point, offset, region):
    x, y = np.rint(template()[point] + offset).astype(int)
    assert REGIONS[region_map()[y, x]] == region


@pytest.mark.parametrize("zoom", [0.8, 1.0, 1.3, 1.5])
def test_regions_follow_the_zoom(zoom):
    for point, region in ((0, "eyes"), (1, "eyes"), (2, "nose")):
        x, y = np.rint(template(zoom)[point]).astype(int)
        assert REGIONS[region_map(zoom)[y, x]] == region


def test_the_corners_of_the_crop_are_not_the_face():
    corners = region_map()[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert {REGIONS[index] for index in corners} == {"surroundings"}


def test_regions_are_mirror_symmetric():
    # The template itself is not exactly symmetric, so a column or two at the borders may differ.
    regions = region_map()
    assert (regions == regions[:, ::-1]).mean() > 0.93


def test_evidence_at_the_mouth_is_said_to_be_at_the_mouth():
    x, y = template()[3:].mean(0)
    found = focus(cam_at(x, y))
    assert found.regions[0] == "mouth"
    assert found.shares["mouth"] > 0.5


def test_two_places_are_named_with_the_heavier_one_first():
    eyes, mouth = template()[:2].mean(0), template()[3:].mean(0)
    found = focus(cam_at(*eyes) + 3 * cam_at(*mouth))
    assert found.regions[0] == "mouth"
    assert set(found.regions) <= {"mouth", "eyes", "brows"}
    assert len(found.regions) == 2


def test_an_even_map_names_no_region():
    found = focus(np.full((8, 8), 0.3, np.float32))
    assert found.regions == ()
    assert not found.empty


def test_an_empty_map_says_so():
    found = focus(np.zeros((8, 8), np.float32))
    assert found.empty
    assert found.regions == ()


@given(npst.arrays(np.float32, (8, 8), elements=st.floats(0, 1e4, width=32)))
def test_shares_add_up_to_one_and_do_not_depend_on_the_scale(cam):
    found = focus(cam)
    if found.empty:
        assert cam.sum() == 0
        return
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-6)
    again = focus(cam * 4)
    assert again.regions == found.regions
    assert list(found.shares) == list(REGIONS)


def test_every_pixel_belongs_to_a_region():
    regions = region_map()
    assert regions.shape == (CROP_SIZE, CROP_SIZE)
    assert set(np.unique(regions)) == set(range(len(REGIONS)))
