"""``python -m train copies``: held-out pictures that stand in the training split too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emotion.errors import ConfigError
from emotion.files import write_text


@dataclass(frozen=True)
class Arguments:
    """List the pictures of a held-out split that have a copy in the training split.

    prepare drops such copies from the training side. Weights that were trained before that, or
    elsewhere, have seen them: leave the listed pictures out with --exclude when you measure them.

    Example: python -m train copies --corpus fer2013=fer2013.zip --split public --out copies.txt
    """

    corpus: str
    """NAME=PATH. PATH is a zip, a folder or hf://datasets/USER/NAME."""
    split: str
    """The held-out split, in the corpus's own word."""
    out: Path
    """File that gets one sample id per line."""


def run(arguments: Arguments) -> int:
    """Search, write the list, and print its length.

    Raises:
        ConfigError: if the corpus is unknown, or the split is the training split.
        DataError: if the corpus or the split is not there, or ``out`` cannot be written.
    """
    from train.corpora import load_corpus, parse_corpus
    from train.corpora.load import ALL_SPLITS
    from train.corpora.published import TRAINING_SPLIT
    from train.faces.copies import find_copies
    from train.faces.report import print_findings

    if arguments.split in (TRAINING_SPLIT, ALL_SPLITS):
        raise ConfigError(f"--split must name a held-out split, not {arguments.split}.")
    name, path = parse_corpus(arguments.corpus)
    corpus = load_corpus(name, path, splits=[TRAINING_SPLIT, arguments.split])
    print_findings(corpus)
    training, held_out = corpus.splits[TRAINING_SPLIT], corpus.splits[arguments.split]
    found = find_copies(training, held_out)
    write_text(arguments.out, "".join(f"{key}\n" for key in found))
    print(
        f"{len(found)} of {len(held_out)} pictures of {name} {arguments.split} have a copy in "
        f"its training split; {arguments.out} lists them."
    )
    return 0
