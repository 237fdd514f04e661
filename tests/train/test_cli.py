from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import emotion
from train.cli import COMMANDS, main
from train.config.recipes import RECIPES


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_has_help_with_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])

    assert caught.value.code == 0
    assert "python -m train" in capsys.readouterr().out


def test_no_help_imports_torch_or_datasets() -> None:
    program = """
import contextlib, io, sys
from train.cli import COMMANDS, main
for arguments in [[], *([name] for name in COMMANDS)]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*arguments, "--help"])
    print(*arguments, *{"torch", "datasets"} & sys.modules.keys())
main(["--version"])
"""

    lines = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()

    assert lines == ["", *COMMANDS, f"python -m train {emotion.__version__}"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "is no command"),
        (["--data-root", "{nowhere}"], "There is no corpus"),
        (["--recipe", "cake", "--data-root", "{nowhere}"], "There is no recipe"),
        (["fit", "--data", "{nowhere}", "--out", "{out}", "--recipe", "cake"], "no recipe"),
        (["fit", "--data", "{nowhere}", "--out", "{out}"], "no prepared fer2013"),
        (["prepare", "--corpus", "cake=x", "--out", "{out}"], "names no known corpus"),
        (
            ["prepare", "--corpus", "synthetic", "--corpus", "synthetic", "--out", "{out}"],
            "named twice",
        ),
        (["prepare", "--corpus", "fer2013={nowhere}", "--out", "{out}"], "{nowhere}"),
        (
            ["evaluate", "--corpus", "synthetic=9", "--split", "test", "--weights", "{nowhere}"],
            "weights",
        ),
        (
            ["evaluate", "--corpus", "synthetic=150", "--split", "holiday"],
            "no split",
        ),
        (
            ["evaluate", "--corpus", "synthetic", "--split", "test", "--json", "{nowhere}/a.json"],
            "does not exist",
        ),
        (["space", "--poll", "0"], "seconds above 0"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"nowhere": str(tmp_path / "nowhere"), "out": str(tmp_path / "out")}

    code = main([argument.format(**places) for argument in arguments])

    error = capsys.readouterr().err.strip()
    assert code == 2
    assert sentence.format(**places) in error
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "fit.json").exists()


def test_an_unknown_option_ends_with_exit_code_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--colour", "red"])

    assert caught.value.code == 2


def test_a_recipe_gives_the_defaults_and_options_override_it(
    prepared: Path, tmp_path: Path
) -> None:
    overrides = "--widths 8 8 8 8 --epochs 1 --batch-size 16 --threads 1 --corpora synthetic"
    common = ["fit", "--data", str(prepared), "--out", str(tmp_path / "run"), "--recipe", "demo"]

    assert main([*common, "--sizes", "32", *overrides.split()]) == 0

    saved = json.loads((tmp_path / "run" / "fit.json").read_text("utf-8"))
    assert saved["architecture"]["widths"] == [8, 8, 8, 8]
    demo, baseline = (RECIPES[name].optimizer.ema_decay for name in ("demo", "baseline"))
    assert saved["optimizer"]["ema_decay"] == demo != baseline


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_runs_from_drawn_faces_to_weights_that_know_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "train", "--demo", "--out", str(tmp_path / "demo")]

    subprocess.run(command, check=True)

    result = json.loads((tmp_path / "demo" / "synthetic-valid.json").read_text("utf-8"))
    assert result["accuracy"] > 0.6  # chance is 1/6
