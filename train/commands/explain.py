"""``python -m train explain``: how true explanations are, in numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from emotion.files import check_target, write_text


@dataclass(frozen=True)
class Arguments:
    """Measure explanations on validation faces whose answer is sure.

    Six methods at the last two stages, with and without the mirror, against a centred Gaussian and
    random maps: deletion and insertion, how often the map points at the part that the cover test
    finds decisive, balance of left and right, agreement under mirroring, and sanity under
    randomised weights. Then how the cover test itself holds: with another fill, and on the engine
    that serves.

    Example: python -m train explain --weights embedded --data prepared --limit 100
    """

    weights: str
    """SPEC of the weights: embedded, a folder, or hf://USER/NAME@REVISION."""
    data: Path
    """Folder that prepare wrote."""
    corpora: tuple[str, ...] = ()
    """By default all in --data."""
    limit: int = 100
    """Faces of each corpus, of every class the same share; 0 takes all."""
    maps: bool = True
    """Measure the maps; without them only the cover test, which takes a fraction of the time."""
    json: Path | None = None
    """File for the same as JSON."""
    atlas: Path | None = None
    """File for the mean map of each class, which figures and the page draw."""


def run(arguments: Arguments) -> int:
    """Measure, print one table, and write it.

    Raises:
        EmotionError: if options, weights or faces cannot be used, or a file cannot be written.
    """
    for path in (arguments.json, arguments.atlas):
        if path is not None:
            check_target(path)
    from train.explain.comparison import explain, to_text

    result, atlas = explain(
        arguments.weights,
        arguments.data,
        arguments.corpora,
        arguments.limit,
        maps=arguments.maps,
        atlas=arguments.atlas is not None,
    )
    print(to_text(result))
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(result, indent=2) + "\n")
    if arguments.atlas is not None and atlas is not None:
        write_text(arguments.atlas, atlas.to_json())
    return 0
