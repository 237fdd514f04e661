"""Held-out pictures that stand in the training split too, and leaving pictures out by a list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets
from tqdm import tqdm

from emotion.errors import DataError
from train.config.faces import AlignConfig
from train.faces.align_rows import PREPARED, align_in_batches
from train.faces.duplicates import copies


def find_copies(training: Dataset, held_out: Dataset) -> list[str]:
    """Align both sides and search photographs that they share, as ``prepare`` does.

    Args:
        training: rows of ``train.corpora.FEATURES``.
        held_out: likewise.

    Returns:
        Sample ids of the held-out rows whose photograph is in the training split, sorted.
    """
    seen, measured = _align(training, "training"), _align(held_out, "held out")
    first, second = copies([seen, measured]).T
    shared = np.unique(second[(first < len(seen)) & (second >= len(seen))]) - len(seen)
    return sorted(measured.select(shared)["sample_id"])


def _align(rows: Dataset, description: str) -> Dataset:
    """Align rows and keep the readable ones."""
    parts = []
    with tqdm(total=len(rows), desc=f"aligning {description}", unit=" images") as bar:
        for batch in align_in_batches(rows, AlignConfig(), batch_size=256):
            parts.append(Dataset.from_dict(batch, features=PREPARED))
            bar.update(len(parts[-1]))
    aligned = concatenate_datasets(parts)
    return aligned.select([i for i, error in enumerate(aligned["error"]) if error is None])


class Excluded:
    """Sample ids that are left out, and how many of them occurred."""

    def __init__(self, path: Path | None) -> None:
        """Read a file with one sample id per line; None leaves nothing out.

        Raises:
            DataError: if it cannot be read.
        """
        self.path, self.count, self.ids = path, 0, frozenset[str]()
        if path is not None:
            try:
                self.ids = frozenset(path.read_text("utf-8").split("\n")) - {""}
            except (OSError, ValueError):
                raise DataError(
                    f"{path} cannot be read; give a text file with one sample id per line."
                ) from None

    def leave_out(self, rows: Dataset) -> Dataset:
        """Return the other rows.

        Raises:
            DataError: if there is none.
        """
        kept = [i for i, key in enumerate(rows["sample_id"]) if key not in self.ids]
        if not kept and len(rows):
            raise DataError(
                f"{self.path} names every one of these {len(rows)} faces, so none is left to "
                "measure; leave out fewer."
            )
        self.count += len(rows) - len(kept)
        return rows.select(kept)

    def check_used(self) -> None:
        """Check that the list belongs to the faces.

        Raises:
            DataError: if it names none of them, so that nothing was left out.
        """
        if self.path is not None and not self.count:
            raise DataError(
                f"None of the {len(self.ids)} sample ids in {self.path} occurs in these faces; "
                "make the list anew from the same corpus with: python -m train copies"
            )
