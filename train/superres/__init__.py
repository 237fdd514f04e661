"""Super-resolution of small grey faces: four methods and bicubic behind one call.

``load_upscaler(name, model)`` gives an ``UpScaler``: uint8 (N, h, w) with sides of at most 64 px
in, uint8 (N, 64, 64) out. Each picture is enlarged independently of its batch, so that order,
batching and the number of workers change nothing.

Which sizes are served: the eigenface methods and ``zssr`` with a model serve the size they were
fitted for (48x48, that of FER-2013); ``zssr`` without one and ``zssr_per_image`` serve every square
size from 24 to 63 px. Any other size up to 64x64 gets bicubic, and ``falls_back`` says so
beforehand, so that callers can count it. Larger pictures are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from emotion.errors import ConfigError
from train.superres.bicubic import Bicubic
from train.superres.resize import SOURCE, TARGET, resize_grey, resize_matrix
from train.superres.upscaler import Method, UpScaler

__all__ = [
    "FITTED",
    "METHODS",
    "SOURCE",
    "TARGET",
    "Bicubic",
    "Method",
    "UpScaler",
    "load_upscaler",
    "resize_grey",
    "resize_matrix",
]

METHODS: tuple[Method, ...] = get_args(Method)
"""Names that ``load_upscaler`` knows."""

FITTED = {"eigenface_map": "eigenface", "eigenface_lmmse": "eigenface", "zssr": "zssr"}
"""Methods that read a fitted model, and what ``python -m train superres-fit --kind`` calls it."""


def load_upscaler(name: Method, model: Path | None = None) -> UpScaler:
    """Build the up-scaler of one method.

    Args:
        name: one of ``METHODS``.
        model: file made by ``python -m train superres-fit``. Needed by the eigenface methods;
            without one ``zssr`` trains its network on every picture from nothing.

    Raises:
        ConfigError: if the name is unknown, or a model is missing or not wanted.
        WeightsError: if the model cannot be read or belongs to another method.
    """
    # The methods are imported where they are used: bicubic alone needs neither torch nor OpenCV.
    if name not in METHODS:
        raise ConfigError(
            f"Super-resolution {name!r} is unknown; choose from {', '.join(METHODS)}."
        )
    if model is not None and name not in FITTED:
        raise ConfigError(f"The method {name} takes no fitted model; leave {model} out.")
    if name == "eigenface_map" or name == "eigenface_lmmse":
        if model is None:
            raise ConfigError(
                f"The method {name} needs a model fitted on faces; make one with: "
                "python -m train superres-fit --faces DIR --out FILE.safetensors."
            )
        from train.superres.eigenface import EigenfaceUpScaler
        from train.superres.subspace import FaceSubspace

        return EigenfaceUpScaler(FaceSubspace.load(model), name)
    if name == "zssr":
        from train.superres.zero_shot import SharedStart, ZeroShot, zero_shot_from_nothing

        return ZeroShot(SharedStart.load(model)) if model else zero_shot_from_nothing()
    if name == "zssr_per_image":
        from train.superres.zero_shot_published import ZeroShotPerImage

        return ZeroShotPerImage()
    return Bicubic()
