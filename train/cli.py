"""The trainer's command line: ``python -m train [COMMAND]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from emotion.errors import ConfigError, DataError, EmotionError
from emotion.files import write_text
from train.alignment import AlignConfig
from train.config import FitConfig
from train.evaluate import EvaluateConfig, evaluate, to_text
from train.export import ExportArguments, export
from train.loop import fit
from train.prepare import PrepareConfig, prepare
from train.recipes import RECIPES
from train.report import to_text as report_text
from train.run import RunArguments, run
from train.superres import command as superres


@dataclass(frozen=True)
class PrepareArguments:
    """Turn corpora into aligned 64x64 faces, once.

    Example: python -m train prepare --corpus fer2013=data/fer2013.zip --out prepared
    """

    corpus: Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
    """NAME=PATH; may be repeated. PATH is a zip, a folder or hf://datasets/USER/NAME."""
    out: Path
    """Folder for the prepared faces and the report."""
    align: Annotated[AlignConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=AlignConfig)
    processes: int = 2
    """Worker processes."""


@dataclass(frozen=True)
class FitArguments:
    """Train a network on prepared faces.

    Example: python -m train fit --data prepared --out runs/mine --recipe quick --seed 3
    """

    data: Path
    """Folder that prepare wrote."""
    out: Path
    """Folder of the run."""
    recipe: str = "baseline"
    """Named values of the fields below; fields given here override them."""
    resume: bool = False
    """Continue the run in --out from its newest checkpoint."""
    config: Annotated[FitConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=FitConfig)


@dataclass(frozen=True)
class EvaluateArguments:
    """Measure weights on a split of a corpus.

    Example: python -m train evaluate --weights embedded --corpus fer2013=data/fer2013.zip
    --split public --json public.json
    """

    corpus: str
    """NAME=PATH."""
    split: str
    """The corpus's own word (fer2013: train, public, private; raf-db: train, test), or all."""
    weights: str = "embedded"
    """embedded, a folder, or hf://USER/NAME@REVISION."""
    json: Path | None = None
    """File for all numbers."""
    allow_trained: bool = False
    """Measure a split although the weights were trained on it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; by default those of the process.

    Returns:
        Exit code: 0, or 2 for unusable input, or 130 when stopped by Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished work is kept; repeat the command to go on (fit: with --resume).",
            file=sys.stderr,
        )
        return 130


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] == "run":
        arguments = arguments[1:]
    elif arguments and not arguments[0].startswith("-"):
        name, rest = arguments[0], arguments[1:]
        if name not in _COMMANDS:
            raise ConfigError(
                f"{name!r} is no command; choose from run, {', '.join(_COMMANDS)}, or none for run."
            )
        return _COMMANDS[name](rest)
    values = tyro.cli(
        RunArguments,
        args=arguments,
        prog="python -m train",
        description=(RunArguments.__doc__ or "")
        + f"\n\nCommands: run (this one), {', '.join(_COMMANDS)}; each has --help.",
    )
    return run(values)


def _prepare(arguments: list[str]) -> int:
    values = tyro.cli(PrepareArguments, args=arguments, prog="python -m train prepare")
    if not values.corpus:
        raise ConfigError("Name at least one corpus: --corpus NAME=PATH.")
    config = PrepareConfig(values.corpus, values.out, values.align, values.processes)
    print(report_text(prepare(config)))
    return 0


def _fit(arguments: list[str]) -> int:
    recipe = _recipe(arguments)
    default = FitArguments(
        data=tyro.MISSING, out=tyro.MISSING, recipe=recipe, config=RECIPES[recipe]
    )
    values = tyro.cli(FitArguments, args=arguments, prog="python -m train fit", default=default)
    best = fit(values.config, values.data, values.out, resume=values.resume)
    print(
        f"Kept epoch {best['epoch']}: validation accuracy {best['accuracy']:.4f}, macro F1 "
        f"{best['macro_f1']:.4f}. Use it with --weights {values.out}"
    )
    return 0


def _recipe(arguments: Sequence[str]) -> str:
    """Find the recipe first: its values are the defaults that --help shows and options override."""
    name = "baseline"
    for index, argument in enumerate(arguments):
        if argument == "--recipe" and index + 1 < len(arguments):
            name = arguments[index + 1]
        elif argument.startswith("--recipe="):
            name = argument.removeprefix("--recipe=")
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}; choose from {', '.join(RECIPES)}.")
    return name


def _evaluate(arguments: list[str]) -> int:
    values = tyro.cli(EvaluateArguments, args=arguments, prog="python -m train evaluate")
    if values.json is not None and not values.json.parent.is_dir():
        raise DataError(f"The folder {values.json.parent} does not exist; create it first.")
    result = evaluate(
        EvaluateConfig(values.weights, values.corpus, values.split, values.allow_trained)
    )
    print(to_text(result))
    if values.json is not None:
        write_text(values.json, json.dumps(result, indent=2) + "\n")
    return 0


def _export(arguments: list[str]) -> int:
    return export(tyro.cli(ExportArguments, args=arguments, prog="python -m train export"))


def _superres(arguments: list[str]) -> int:
    return superres.run(
        tyro.cli(superres.SuperresArguments, args=arguments, prog="python -m train superres")
    )


def _superres_fit(arguments: list[str]) -> int:
    return superres.run_fit(
        tyro.cli(superres.SuperresFitArguments, args=arguments, prog="python -m train superres-fit")
    )


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "prepare": _prepare,
    "fit": _fit,
    "evaluate": _evaluate,
    "export": _export,
    "superres": _superres,
    "superres-fit": _superres_fit,
}
