"""The trainer's command line: ``python -m train [COMMAND]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import tyro

import emotion
from emotion.errors import ConfigError, EmotionError, imports_explained, memory_explained

COMMANDS = {
    "run": "train.commands.run",
    "prepare": "train.commands.prepare",
    "fit": "train.commands.fit",
    "evaluate": "train.commands.evaluate",
    "compare": "train.commands.compare",
    "domains": "train.commands.domains",
    "calibrate": "train.commands.calibrate",
    "copies": "train.commands.copies",
    "results": "train.commands.results",
    "explain": "train.commands.explain",
    "export": "train.commands.export",
    "push": "train.commands.push",
    "figures": "train.commands.figures",
    "tensorboard": "train.commands.tensorboard",
    "superres": "train.commands.superres",
    "superres-fit": "train.commands.superres_fit",
    "space": "train.commands.space",
}
"""Command -> its module, imported when used: it has ``Arguments`` and ``run``, and ``defaults``
where the values of some arguments, or what help shows of them, depend on others."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: arguments without the program's name; by default those of the process.

    Returns:
        Exit code: 0, or 2 for unusable input, or 130 when stopped by Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with imports_explained(), memory_explained():
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
    if arguments == ["--version"]:
        print(f"python -m train {emotion.__version__}")
        return 0
    name, rest = "run", arguments
    if arguments and not arguments[0].startswith("-"):
        name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise ConfigError(f"{name!r} is no command; choose from {', '.join(COMMANDS)}.")
    command, parsed = parse(name, rest)
    return int(command.run(parsed))


def parse(name: str, words: Sequence[str]) -> tuple[Any, Any]:
    """Return a command's module and its arguments.

    Raises:
        ConfigError: if a command finds fault with the words before they are read.
        SystemExit: if they cannot be read, or ask for help.
    """
    command: Any = import_module(COMMANDS[name])
    if name == "run":
        others = ", ".join(list(COMMANDS)[1:])
        text = (
            f"{command.Arguments.__doc__}\n\nCommands: run (this one), {others}; each has --help."
        )
        arguments = tyro.cli(
            command.Arguments, args=words, prog="python -m train", description=text
        )
    else:
        given = {"default": command.defaults(list(words))} if hasattr(command, "defaults") else {}
        kind = type(given["default"]) if given else command.Arguments
        arguments = tyro.cli(kind, args=words, prog=f"python -m train {name}", **given)
    return command, arguments
