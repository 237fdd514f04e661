from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from train.corpora import FEATURES
from train.faces.crops import Crops
from train.scoring.robustness import DEGRADATIONS, degrade, measure_robustness

NAMES = [degradation.name for degradation in DEGRADATIONS]
POINTS = [(30, 40), (70, 38), (50, 60), (35, 80), (66, 82)]


def row(label: int = 0, **values: Any) -> dict[str, Any]:
    """A picture of 120x100 px with a bright blot at each of five landmarks."""
    picture = np.full((120, 100, 3), 60, np.uint8)
    for x, y in POINTS:
        cv2.circle(picture, (x, y), 3, (250, 200, 160), -1)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    empty = dict.fromkeys(FEATURES)
    return {
        **empty,
        "image": {"bytes": buffer.getvalue(), "path": None},
        "label": label,
        "box": [20.0, 20.0, 80.0, 100.0],
        "landmarks": [float(value) for point in POINTS for value in point],
        **values,
    }


def changed(name: str, **values: Any) -> tuple[dict[str, Any], np.ndarray]:
    rows = Dataset.from_list([row(**values)], features=FEATURES)
    result = degrade(rows, DEGRADATIONS[NAMES.index(name)])[0]
    with Image.open(io.BytesIO(result["image"]["bytes"])) as picture:
        return result, np.asarray(picture).astype(int)


def test_pictures_become_darker_blurred_compressed_and_grey() -> None:
    same, original = changed("as it is")
    assert same["landmarks"] == row()["landmarks"]

    assert abs(2 * changed("half as bright")[1] - original).max() <= 1
    assert abs(4 * changed("a quarter as bright")[1] - original).max() <= 2
    light, heavy = (changed(f"blurred, {n} % of the face")[1] for n in (2, 4))
    assert original.std() > light.std() > heavy.std()
    assert heavy.mean() == pytest.approx(original.mean(), abs=0.5)
    good, bad = (abs(changed(f"JPEG, quality {n}")[1] - original).mean() for n in (30, 10))
    assert 0 < good < bad < 20
    grey = changed("without colour")[1]
    assert (grey == grey[..., :1]).all()


@pytest.mark.parametrize(
    "name", ["turned 20° left", "turned 20° right", "face at 48 px", "face at 32 px"]
)
def test_landmarks_and_box_stay_on_the_face(name: str) -> None:
    result, picture = changed(name)

    points = np.array(result["landmarks"]).reshape(5, 2)
    for x, y in np.round(points).astype(int):
        assert picture[y, x].max() > 150
    x0, y0, x1, y1 = result["box"]
    assert (points > [x0, y0]).all()
    assert (points < [x1, y1]).all()
    if "px" in name:
        assert max(x1 - x0, y1 - y0) == pytest.approx(float(name.split()[2]), rel=0.03)
    else:
        assert picture.shape == (120, 100, 3)
        assert (points[0][1] > points[1][1] + 5) == ("left" in name)  # counter-clockwise


def test_a_small_face_is_not_enlarged_and_a_broken_picture_stays() -> None:
    small = changed("face at 48 px", box=[20.0, 20.0, 50.0, 50.0])[1]
    assert small.shape == (120, 100, 3)

    rows = Dataset.from_list([row(image={"bytes": b"broken", "path": None})], features=FEATURES)
    assert degrade(rows, DEGRADATIONS[1])[0]["image"]["bytes"] == b"broken"


def test_every_degradation_is_scored_on_the_same_faces_and_against_the_first_answers() -> None:
    rows = Dataset.from_list([row(k % 6) for k in range(60)], features=FEATURES)
    asked: list[str] = []

    def answer(pictures: Dataset, description: str) -> tuple[np.ndarray, Crops]:
        """Know the truth, but take every face without colour for happiness."""
        asked.append(description)
        labels = np.array(pictures["label"])
        says = np.zeros_like(labels) if description == "without colour" else labels
        crops = Crops(np.zeros((len(labels), 64, 64), np.uint8), labels, -np.ones_like(labels), 2)
        return np.eye(6, dtype=np.float32)[says], crops

    measured = measure_robustness(rows, 30, answer)

    assert asked == NAMES == [line["condition"] for line in measured]
    assert {line["n"] for line in measured} == {30}
    assert measured[0]["accuracy"] == measured[0]["agreement"] == 1
    assert measured[-1]["accuracy"] == measured[-1]["agreement"] == pytest.approx(1 / 6)
    assert measured[-1]["macro_f1"] == pytest.approx(2 * (1 / 6) / (7 / 6) / 6)
    assert measured[0]["faces_not_found"] == 2


@pytest.mark.parametrize("count", [1, 10])
def test_a_few_pictures_are_some_of_every_class(count: int) -> None:
    labels = [0] * 20 + [1] * 4
    rows = Dataset.from_list(
        [row(label, sample_id=str(i)) for i, label in enumerate(labels)], features=FEATURES
    )

    def answer(part: Dataset, description: str) -> tuple[np.ndarray, Crops]:
        own = np.array(part["label"])
        crops = np.zeros((len(own), 64, 64), np.uint8)
        return np.eye(6, dtype=np.float32)[own], Crops(crops, own, own, 0)

    measured = measure_robustness(rows, count, answer)

    assert measured[0]["macro_f1"] == pytest.approx(2 / 6)  # both classes
    assert measured[0]["n"] == max(2, count)
