"""``python -m train prepare``: corpora become aligned faces, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from emotion.errors import ConfigError
from train.config.faces import AlignConfig


@dataclass(frozen=True)
class Arguments:
    """Turn corpora into aligned 64x64 faces, once.

    Examples: python -m train prepare --corpus fer2013=data/fer2013.zip --out prepared;
    python -m train prepare --corpus mine=folder:pictures --out prepared
    """

    corpus: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """NAME=PATH; may be repeated. PATH is a zip, a folder or hf://datasets/USER/NAME. With
    folder: before it, it holds pictures of your own in folders named after expressions, or a csv
    (path,label[,split]); behind it other words and numbers are explained: ,wut=anger,3=fear."""
    out: Path
    """Folder for the prepared faces and the report."""
    align: Annotated[AlignConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=AlignConfig)
    processes: int = 2
    """Worker processes."""
    push_prepared: str | None = None
    """USER/NAME of a private dataset repository on the Hub that gets the prepared faces too."""
    public: bool = False
    """Make that repository public; refused unless every corpus may be published."""


def run(arguments: Arguments) -> int:
    """Prepare, print the report, and push the faces where that is asked for.

    Raises:
        EmotionError: if corpora, options, the folder or the repository cannot be used.
    """
    if not arguments.corpus:
        raise ConfigError("Name at least one corpus: --corpus NAME=PATH.")
    if arguments.public and arguments.push_prepared is None:
        raise ConfigError("--public says who sees what --push-prepared USER/NAME pushes; name it.")
    from train.corpora import parse_corpus
    from train.faces.prepare import PrepareConfig, prepare
    from train.faces.report import to_text
    from train.hub.push_prepared import check, push_prepared

    config = PrepareConfig(arguments.corpus, arguments.out, arguments.align, arguments.processes)
    if arguments.push_prepared is None:
        print(to_text(prepare(config)))
        return 0
    names = [parse_corpus(text)[0] for text in arguments.corpus]
    repository = check(arguments.push_prepared, names, public=arguments.public)
    print(to_text(prepare(config)))
    commit = push_prepared(config.out, repository, public=arguments.public)
    print(f"{repository.url} holds these faces in commit {commit}; its card says how to load them.")
    return 0
