"""Options of preparing faces and of measuring weights on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from emotion.align import DEFAULT_ZOOM
from train.config.checked import STRICT, in_one_sentence
from train.superres import Method

Averaging = Literal["none", "flip", "ten-crop"]


@in_one_sentence
@checked_dataclass(frozen=True, config=STRICT)
class AlignConfig:
    """How rows become crops."""

    zoom: Annotated[float, Field(ge=0.6, le=1.6)] = DEFAULT_ZOOM
    """Scale of the crop, see ``emotion.align.template``."""
    detector: Literal["mobilenet0.25", "resnet50"] = "mobilenet0.25"
    """Body of RetinaFace."""
    detector_weights: Path | None = None
    """File to load instead of the detector's own weights."""
    superres: Method = "bicubic"
    """How pictures below 64 px are enlarged."""
    superres_model: Path | None = None
    """Fitted model of that method."""


# Not of pydantic: until the command line is read, tyro's mark stands for what is required.
@dataclass(frozen=True)
class EvaluateConfig:
    """What is measured on what."""

    weights: str
    """embedded, a folder, or hf://USER/NAME@REVISION."""
    corpus: str
    """NAME=PATH; with --data only NAME, or NAME=PATH to align the pictures of its faces anew."""
    split: str
    """The corpus's own word (fer2013: train, public, private; raf-db: train, test), or all. With
    --data also validation: what fit validates on, for raf-db a held-out tenth of train."""
    allow_trained: bool = False
    """Measure a split although the weights were trained on it."""
    data: Path | None = None
    """Folder that prepare wrote: measure the faces in it."""
    exclude: Path | None = None
    """File with one sample id per line, left out (see python -m train copies)."""
    tta: Averaging = "none"
    """Test-time averaging over views of each face, beside what the weights do themselves."""
    convention: str | None = None
    """Corpus whose way of labelling answers; by default what the weights say."""
    degrade: int = 0
    """Measure so many of the pictures, of each class the same share and at least one, also darker,
    blurred, compressed, turned and smaller; 0 does not."""
