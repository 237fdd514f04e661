"""The trainer's command line: ``python -m train [COMMAND]``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from emotion.errors import ConfigError, EmotionError
from train import calibrate_command as calibrate
from train import compare, copies, evaluate, figures, publish, results, tensorboard
from train.alignment import AlignConfig
from train.config import FitConfig
from train.corpora import parse_corpus
from train.domains import study
from train.explain import command as explain
from train.export import ExportArguments, export
from train.fit import fit
from train.prepare import PrepareConfig, prepare
from train.publish_prepared import check, push_prepared
from train.recipes import recipe
from train.report import to_text as report_text
from train.run import RunArguments, run
from train.space import command as space
from train.superres import command as superres

_T = TypeVar("_T")
_Command = Callable[[list[str]], int]


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
    push_prepared: str | None = None
    """USER/NAME of a private dataset repository on the Hub that gets the prepared faces too."""
    public: bool = False
    """Make that repository public; refused unless every corpus may be published."""


@dataclass(frozen=True)
class FitArguments:
    """Train a network on prepared faces.

    Examples: python -m train fit --data prepared --out runs/mine --recipe quick --seed 3;
    torchrun --nproc-per-node 4 -m train fit --data prepared --out runs/mine --batch-size 256
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
    if values.public and values.push_prepared is None:
        raise ConfigError("--public says who sees what --push-prepared USER/NAME pushes; name it.")
    config = PrepareConfig(values.corpus, values.out, values.align, values.processes)
    if values.push_prepared is None:
        print(report_text(prepare(config)))
        return 0
    names = [parse_corpus(text)[0] for text in values.corpus]
    repository = check(values.push_prepared, names, public=values.public)
    print(report_text(prepare(config)))
    commit = push_prepared(config.out, repository, public=values.public)
    print(f"{repository.url} holds these faces in commit {commit}; its card says how to load them.")
    return 0


def _fit(arguments: list[str]) -> int:
    name = _recipe(arguments)
    default = FitArguments(data=tyro.MISSING, out=tyro.MISSING, recipe=name, config=recipe(name))
    values = tyro.cli(FitArguments, args=arguments, prog="python -m train fit", default=default)
    best = fit(values.config, values.data, values.out, resume=values.resume)
    if int(os.environ.get("RANK", "0")):
        return 0  # the first of several processes reports
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
    return name


def _evaluate(arguments: list[str]) -> int:
    return evaluate.run(
        tyro.cli(
            evaluate.EvaluateArguments,
            args=arguments,
            prog="python -m train evaluate",
            default=evaluate.DEFAULTS,
        )
    )


def _command(name: str, kind: type[_T], action: Callable[[_T], int]) -> _Command:
    """Make a command of an arguments dataclass and the function that takes it."""

    def run_command(arguments: list[str]) -> int:
        return action(tyro.cli(kind, args=arguments, prog=f"python -m train {name}"))

    return run_command


_COMMANDS: dict[str, _Command] = {
    "prepare": _prepare,
    "fit": _fit,
    "evaluate": _evaluate,
    "compare": _command("compare", compare.CompareArguments, compare.run),
    "domains": _command("domains", study.StudyArguments, study.run),
    "calibrate": _command("calibrate", calibrate.CalibrateArguments, calibrate.run),
    "copies": _command("copies", copies.CopiesArguments, copies.run),
    "results": _command("results", results.ResultsArguments, results.run),
    "explain": _command("explain", explain.ExplainArguments, explain.run),
    "export": _command("export", ExportArguments, export),
    "push": _command("push", publish.PushArguments, publish.run),
    "figures": _command("figures", figures.FiguresArguments, figures.run),
    "tensorboard": _command("tensorboard", tensorboard.TensorboardArguments, tensorboard.run),
    "superres": _command("superres", superres.SuperresArguments, superres.run),
    "superres-fit": _command("superres-fit", superres.SuperresFitArguments, superres.run_fit),
    "space": _command("space", space.SpaceArguments, space.run),
}
