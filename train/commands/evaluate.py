"""``python -m train evaluate``: weights on a split of a corpus."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from emotion.files import check_target, write_text
from train.config.faces import EvaluateConfig


@dataclass(frozen=True)
class Arguments:
    """Measure weights on a split of a corpus.

    Examples: python -m train evaluate --weights embedded --corpus fer2013=data/fer2013.zip
    --split public --json public.json; python -m train evaluate --weights runs/mine --data prepared
    --corpus raf-db --split validation
    """

    config: Annotated[EvaluateConfig, tyro.conf.OmitArgPrefixes]
    json: Path | None = None
    """File for all numbers."""


def defaults(_words: list[str]) -> Arguments:
    """Return the arguments before the command line is read."""
    return Arguments(EvaluateConfig("embedded", tyro.MISSING, tyro.MISSING))


def run(arguments: Arguments) -> int:
    """Measure, print, and write the numbers.

    Raises:
        EmotionError: if weights or corpus cannot be used, or the file cannot be written.
    """
    if arguments.json is not None:
        check_target(arguments.json)
    from train.scoring.evaluation import evaluate, to_text

    result = evaluate(arguments.config)
    print(to_text(result))
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(result.to_json(), indent=1) + "\n")
    return 0
