"""Pictures that scikit-image ships: small faces, and crops of larger photographs."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from emotion.images import to_grey
from train.superres import resize_grey
from train.superres.zero_shot import SharedStart, train_start


@pytest.fixture(scope="session")
def faces25() -> np.ndarray:
    """A hundred faces, uint8 (100, 25, 25)."""
    return np.rint(skimage.data.lfw_subset()[:100] * 255).astype(np.uint8)


@pytest.fixture(scope="session")
def crops64() -> np.ndarray:
    """Forty textured crops of three photographs, uint8 (40, 64, 64), in mixed order."""
    crops = []
    for photo in (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()):
        grey = to_grey(photo)
        reduced = resize_grey(grey[None], grey.shape[0] // 2, grey.shape[1] // 2)[0]
        for top in range(0, reduced.shape[0] - 64, 40):
            for left in range(0, reduced.shape[1] - 64, 40):
                crops.append(reduced[top : top + 64, left : left + 64])
    textured = [crop for crop in crops if crop.std() > 15]
    return np.random.default_rng(0).permutation(np.stack(textured))[:40]


@pytest.fixture(scope="session")
def small48(crops64: np.ndarray) -> np.ndarray:
    """The same crops as a camera with fewer pixels would have taken them, uint8 (40, 48, 48)."""
    return resize_grey(crops64, 48, 48)


@pytest.fixture(scope="session")
def start(small48: np.ndarray) -> SharedStart:
    """A zero-shot start trained on the second half of the small crops."""
    return train_start(small48[20:], steps=300, batch=8)
