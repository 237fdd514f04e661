"""The script that makes the embedded weights: every command of it can be given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from train.cli import parse
from train.config.fit import read_config, to_json
from train.config.methods import plain

RUNS = Path(__file__).resolve().parents[2] / "docs" / "runs"


def parsed() -> list[Any]:
    script = (RUNS / "embedded.sh").read_text("utf-8").replace("\\\n", " ")
    found = []
    for line in re.findall(r"(?m)^python -m train (.*)$", script):
        name, *words = shlex.split(line)
        found.append((name, parse(name, words)[1]))
    return found


def test_every_command_can_be_given():
    assert [name for name, _ in parsed()] == [
        *("prepare", "fit", "fit", "export"),
        *("evaluate", "evaluate", "evaluate", "results", "figures"),
    ]


def test_the_last_training_is_the_one_that_was_run():
    config = plain([arguments for name, arguments in parsed() if name == "fit"][-1].config)
    ours, theirs = to_json(config), to_json(read_config(RUNS / "union-heads" / "fit.json"))
    for values in (ours, theirs):
        del values["machine"]  # which may differ
        # The rest of it is that of the weights it starts from.
        values["architecture"] = values["architecture"]["heads"]
    assert ours == theirs
