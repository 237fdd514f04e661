from __future__ import annotations

import pytest
import torch

from emotion.errors import MemoryLackError, memory_explained


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "The GPU"),
        (MemoryError(), "This machine"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "This machine"),
    ],
)
def test_a_lack_of_memory_is_a_sentence_with_ways_out(error: Exception, place: str) -> None:
    sentence = f"{place} has not enough memory.*--batch-size"
    with pytest.raises(MemoryLackError, match=sentence), memory_explained():
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_explained():
        raise RuntimeError("shapes differ")
