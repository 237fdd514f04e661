"""Results of an up-scaler on disk, so that no picture is enlarged twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.superres import files
from train.superres.resize import GreyImages
from train.superres.upscaler import UpScaler, fingerprint

KIND = "enlarged pictures"


@dataclass(frozen=True, slots=True)
class CachedUpScaler:
    """An up-scaler that keeps its results in a folder, one file per call that had something new.

    The key is the picture's shape and pixels together with the up-scaler's config. Files are only
    ever added, under a temporary name first, so that several processes can share the folder and a
    killed one leaves nothing half-written.

    Attributes:
        upscaler: what computes.
        folder: where results are kept; results of another config are in other subfolders.
    """

    upscaler: UpScaler
    folder: Path
    _known: dict[bytes, npt.NDArray[np.uint8]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what is there.

        Raises:
            WeightsError: if a file of the cache is damaged.
        """
        for path in sorted(self._place.glob("*.safetensors")):
            arrays, _ = files.load_arrays(path, KIND)
            for key, image in zip(arrays["keys"], arrays["images"], strict=True):
                self._known[key.tobytes()] = image

    @property
    def config(self) -> dict[str, Any]:
        """The config of the up-scaler inside: caching does not change results."""
        return self.upscaler.config

    def falls_back(self, images: GreyImages) -> npt.NDArray[np.bool_]:
        """As the up-scaler inside."""
        return self.upscaler.falls_back(images)

    def __call__(self, images: GreyImages) -> GreyImages:
        """Enlarge uint8 (N, h, w) to (N, 64, 64), computing only what is not known yet.

        Raises:
            DataError: as the up-scaler inside, or if the folder cannot be written.
        """
        keys = [_key(image) for image in images]
        new = {key: index for index, key in enumerate(keys) if key not in self._known}
        if new or not keys:
            enlarged = self.upscaler(images[list(new.values())])
            if not keys:
                return enlarged
            self._known.update(zip(new, enlarged, strict=True))
            self._write(list(new), enlarged)
        return np.stack([self._known[key] for key in keys])

    @property
    def _place(self) -> Path:
        return self.folder / fingerprint(self.upscaler)

    def _write(self, keys: list[bytes], enlarged: GreyImages) -> None:
        arrays = {"keys": np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)}
        path = self._place / f"{files.digest(arrays)}.safetensors"
        files.save_arrays(path, arrays | {"images": enlarged}, KIND, self.config)


def _key(image: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).digest()[:16]
