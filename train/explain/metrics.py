"""What makes a map of evidence a true one: deletion, insertion, pointing, balance, sanity."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from emotion.align import CROP_SIZE
from emotion.network import EmotionNet

Map = npt.NDArray[np.float32]
Crops = npt.NDArray[np.uint8]

STEPS = 8
"""Into how many parts of equal area deletion and insertion divide a crop."""

BLUR = 8.0
"""Standard deviation in px of the blur that takes the place of deleted pixels."""


def enlarge(cam: Map) -> Map:
    """Enlarge a map (h, w) to the crop, as the page draws it: bilinear, float32 (64, 64)."""
    size = (CROP_SIZE, CROP_SIZE)
    return np.asarray(cv2.resize(cam, size, interpolation=cv2.INTER_LINEAR), np.float32)


def deletion_steps(crop: Crops, cam: Map) -> Crops:
    """Make what deletion and insertion ask about (Petsiuk et al., BMVC 2018, section 3.3).

    Args:
        crop: uint8 (64, 64).
        cam: float32 (64, 64). Ties are broken at random, always in the same way: a map that is zero
            in most places would otherwise be deleted in rows there.

    Returns:
        uint8 (2 (STEPS + 1), 64, 64): the pixels with the strongest evidence blurred, from none to
        all; then everything blurred but those.
    """
    noise = np.random.default_rng(0).random(cam.size)
    rank = np.empty(cam.size, np.int64)
    rank[np.lexsort((noise, -cam.ravel()))] = np.arange(cam.size)
    limits = np.arange(STEPS + 1) * cam.size // STEPS
    strongest = (rank < limits[:, None]).reshape(-1, *crop.shape)
    blurred = cv2.GaussianBlur(crop, (0, 0), BLUR, borderType=cv2.BORDER_REFLECT_101)
    deleted, inserted = (np.where(mask, blurred, crop) for mask in (strongest, ~strongest))
    return np.concatenate([deleted, inserted]).astype(np.uint8)


def areas(probabilities: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Areas under the two curves.

    Args:
        probabilities: (2 (STEPS + 1),), of the explained class, for what ``deletion_steps`` made.

    Returns:
        Deletion, the lower the better, and insertion, the higher the better, each 0..1.
    """
    deletion, insertion = np.split(np.asarray(probabilities, np.float64), 2)
    return tuple(float((c[1:] + c[:-1]).mean() / 2) for c in (deletion, insertion))  # type: ignore[return-value]


def pointed_part(cam: Map, masks: npt.NDArray[np.bool_]) -> int:
    """Return the part (P, 64, 64) whose pixels have the strongest mean evidence, 0..P - 1."""
    means = [float(cam[mask].mean()) if mask.any() else -1.0 for mask in masks]
    return int(np.argmax(means))


def right_share(cam: Map) -> float:
    """Part of the evidence that lies in the right half of the crop, 0..1; half of an empty map."""
    total = float(cam.sum())
    return float(cam[:, cam.shape[1] // 2 :].sum()) / total if total > 0 else 0.5


def correlation(one: Map, other: Map) -> float:
    """Pearson's correlation of two maps; 0 where one of them is even."""
    x, y = (a.ravel().astype(np.float64) - a.mean() for a in (one, other))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def rank_correlation(one: Map, other: Map) -> float:
    """Spearman's correlation of two maps; ties share the mean of their ranks."""
    return correlation(_ranks(one), _ranks(other))


def _ranks(cam: Map) -> Map:
    _, inverse, counts = np.unique(cam.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse.ravel()], np.float32)


def randomised(network: EmotionNet, seed: int = 0) -> EmotionNet:
    """Copy a network and draw its linear layer and last stage anew (Adebayo et al., NeurIPS 2018).

    A map that stays as it was does not depend on what they have learnt.
    """
    network = copy.deepcopy(network)
    last = [module for name, module in network.named_children() if name[-1].isdigit()][-1]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in (*last.modules(), network.head):
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
                module.reset_parameters()
    _settle(network, last, seed)
    return network


def _settle(network: EmotionNet, stage: nn.Module, seed: int) -> None:
    """Let the norm layers of a stage see noise, so that its random features vary as others do."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        norms = [module for module in stage.modules() if isinstance(module, nn.BatchNorm2d)]
        for module in norms:
            module.momentum = 1.0
            module.train()
        network.features(torch.randn(16, 3, CROP_SIZE, CROP_SIZE))
        for module in norms:
            module.eval()


def baseline_maps(count: int) -> dict[str, list[Map]]:
    """Maps that know nothing of the face: a centred Gaussian, and random ones, (64, 64) each."""
    centre = np.arange(CROP_SIZE) - (CROP_SIZE - 1) / 2
    bell = np.exp(-(centre**2) / (2 * (CROP_SIZE / 4) ** 2)).astype(np.float32)
    random = np.random.default_rng(0).random((count, 8, 8)).astype(np.float32)
    return {
        "Gaussian": [np.outer(bell, bell)] * count,
        "random": [enlarge(cam) for cam in random],
    }
