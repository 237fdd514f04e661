"""Whether something lies over a face: a mask, dark glasses. It needs no network.

A logistic regression on brightness, contrast and edges in 8x8 cells of the aligned crop, which was
fitted on training faces with drawn masks and glasses (``python -m benchmarks.doubts``).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

_FILE = Path(__file__).parent / "assets" / "covered.json"
_CELLS = 8
_LEAST = 0.02  # of the crop's deviation; keeps the logarithm of an even cell finite
_MIN_DEVIATION = 4.0  # grey levels


def is_covered(crop: npt.NDArray[np.uint8]) -> bool:
    """Tell whether a mask or dark glasses cover an aligned face.

    Args:
        crop: uint8 (64, 64), see ``emotion.align.align_face``.
    """
    weights, bias = _regression()
    return float(cell_features(crop) @ weights + bias) > 0


def cell_features(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Describe a crop by its cells.

    Args:
        crop: uint8 (64, 64).

    Returns:
        float32 (192,): of each of 8x8 cells, in rows, the mean grey value of the standardised crop;
        then the logarithm of the standard deviations; then that of the mean gradients.
    """
    grey = crop.astype(np.float32)
    grey = (grey - grey.mean()) / max(float(grey.std()), _MIN_DEVIATION)
    rows, columns = np.gradient(grey)
    cells, edges = _cells(grey), _cells(np.hypot(rows, columns))
    parts = [
        cells.mean((1, 3)),
        np.log(cells.std((1, 3)) + _LEAST),
        np.log(edges.mean((1, 3)) + _LEAST),
    ]
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)


def _cells(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    side = len(values) // _CELLS
    return values.reshape(_CELLS, side, _CELLS, side)


@lru_cache(maxsize=1)
def _regression() -> tuple[npt.NDArray[np.float32], float]:
    values = json.loads(_FILE.read_text("utf-8"))
    return np.array(values["weights"], np.float32), float(values["bias"])
