"""Face corpora as Hugging Face datasets with one schema."""

from __future__ import annotations

from train.corpora.load import Corpus, load_corpus
from train.corpora.place import parse_corpus
from train.corpora.schema import (
    FEATURES,
    NO_LABEL,
    OTHER,
    SOURCES,
    Finding,
    class_indices,
    image_bytes,
)

__all__ = [
    "FEATURES",
    "NO_LABEL",
    "OTHER",
    "SOURCES",
    "Corpus",
    "Finding",
    "class_indices",
    "image_bytes",
    "load_corpus",
    "parse_corpus",
]
