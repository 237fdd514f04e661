"""Files of super-resolution: fitted models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from emotion.errors import WeightsError
from emotion.files import write_bytes

Arrays = dict[str, npt.NDArray[Any]]


def save_arrays(path: Path, arrays: Arrays, kind: str, facts: dict[str, Any]) -> None:
    """Write arrays and JSON facts as one safetensors file.

    Args:
        path: file to write.
        arrays: by name.
        kind: what the file is; reading asks for the same.
        facts: JSON values kept in the file's metadata.

    Raises:
        DataError: if it cannot be written.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"kind": kind, "facts": json.dumps(facts, sort_keys=True)}
    write_bytes(path, save(contiguous, metadata))


def load_arrays(path: Path, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Read a file of ``save_arrays``.

    Returns:
        The arrays by name, and the facts.

    Raises:
        WeightsError: if the file is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise WeightsError(f"{path} does not exist; make it with: python -m train superres-fit.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read ({error}); delete it and make it again."
        ) from None
    if metadata.get("kind") != kind:
        found = metadata.get("kind", "something else")
        raise WeightsError(
            f"{path} holds {found}, not {kind}; give the file fitted for this method."
        )
    return arrays, json.loads(metadata["facts"])
