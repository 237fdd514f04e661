"""``python -m train`` without a command: prepare, fit and evaluate what is there, or named."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from emotion.errors import ConfigError, DataError
from emotion.files import write_text
from train.config.faces import AlignConfig, EvaluateConfig
from train.config.fit import override
from train.config.recipes import recipe

ARCHIVES = {
    "fer2013": ("fer2013.zip", "fer2013", "fer2013.csv"),
    "raf-db": ("raf-db.zip", "raf-db"),
    "affectnet": ("affectnet-yolo.zip", "affectnet.zip", "affectnet"),
}
"""Corpus -> names under which it is looked for in the data folder."""


@dataclass(frozen=True)
class Arguments:
    """Train from the corpora that are there, or from pictures of your own: prepare, fit, evaluate.

    Repeating the command goes on where it stopped.

    Examples: python -m train --data-root ../shared/data; python -m train --demo;
    python -m train --corpus mine=folder:pictures --init embedded
    """

    corpus: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=folder:PATH or NAME=PATH, may be repeated: train from these instead of --data-root. In
    folder:PATH (a zip, a folder or a csv of path,label) folders are named after expressions;
    explain other words and numbers behind it: folder:PATH,wut=anger,3=fear."""
    init: str = ""
    """Weights to start from, such as embedded: fine-tuning, for a few hundred pictures or more."""
    data_root: Path = Path("data")
    """Folder with fer2013.zip, raf-db.zip, affectnet-yolo.zip, or folders of those names."""
    out: Path | None = None
    """Folder of the run, by default runs/union, or runs/NAME of the first --corpus; the prepared
    faces go to its folder 'prepared'."""
    recipe: str = ""
    """Named training, see python -m train fit --help, by default union, or finetune with --init;
    corpora that are not there are left out."""
    demo: bool = False
    """Draw faces instead of reading a corpus, and train on them for two minutes."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the training, see fit; what is measured is always measured in float32."""


def run(arguments: Arguments) -> int:
    """Prepare, fit and evaluate.

    Raises:
        ConfigError: if the recipe or a corpus is unknown.
        DataError: if no corpus is there.
    """
    from train.corpora import parse_corpus
    from train.faces.prepare import PrepareConfig, prepare
    from train.faces.prepared import VALIDATION
    from train.faces.report import to_text as report_text
    from train.fit import fit
    from train.scoring.evaluation import evaluate, to_text
    from train.training.data import has_outliers

    if arguments.demo and arguments.corpus:
        raise ConfigError("--demo draws its faces; leave it out to train from --corpus.")
    default = "demo" if arguments.demo else "finetune" if arguments.init else "union"
    config = recipe(arguments.recipe or default)
    if arguments.corpus:
        corpora = {parse_corpus(text)[0]: text for text in arguments.corpus}
        chosen = tuple(corpora)
    else:
        corpora = {"synthetic": "synthetic"} if arguments.demo else _find(arguments.data_root)
        wanted = config.data.corpora
        chosen = tuple(corpus for corpus in wanted if corpus in corpora) or tuple(corpora)
    config = override(config, corpora=chosen, precision=arguments.precision)
    if arguments.init:
        config = override(config, init=arguments.init)
    out = arguments.out or Path("runs") / (chosen[0] if arguments.corpus else "union")
    prepared = out / "prepared"
    texts = arguments.corpus or tuple(corpora[corpus] for corpus in chosen)
    print(report_text(prepare(PrepareConfig(texts, prepared, AlignConfig()))))
    if config.data.outlier_exposure and not has_outliers(chosen, prepared):
        print("There are no neutral faces to show, so outlier exposure is left out.")
        config = override(config, outlier_exposure=False, calm_weight=0.0)
    config = override(config, batch_size=_batch_size(config.data.batch_size, chosen, prepared))
    fit(config, prepared, out, resume=(out / "fit.json").exists())
    for corpus in chosen:
        result = evaluate(EvaluateConfig(str(out), corpus, VALIDATION, data=prepared))
        print(to_text(result))
        target = out / f"{corpus}-{result.split}.json"
        write_text(target, json.dumps(result.to_json(), indent=2) + "\n")
    print(f"Use it with: python app.py --weights {out}")
    return 0


def _batch_size(wanted: int, corpora: Iterable[str], prepared: Path) -> int:
    """Return a smaller batch for few pictures, so that an epoch has at least eight steps."""
    from train.faces.prepared import read_rows

    count = sum(len(read_rows(prepared, corpus, "train")) for corpus in corpora)
    return max(2, min(wanted, count // 8))


def _find(root: Path) -> dict[str, str]:
    """Return NAME=PATH of every corpus in the data folder."""
    found = {}
    for corpus, names in ARCHIVES.items():
        for name in names:
            if (root / name).exists():
                found[corpus] = f"{corpus}={root / name}"
                break
    if not found:
        places = "; ".join(f"{corpus} as {root / names[0]}" for corpus, names in ARCHIVES.items())
        raise DataError(
            f"There is no corpus in {root}: put {places}, or name their folder with --data-root. "
            "To see everything run without a corpus: python -m train --demo"
        )
    return found
