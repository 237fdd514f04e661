"""Two trainings in one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emotion.errors import ConfigError, DataError
from train.training.lock import locked

REPOSITORY = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from pathlib import Path
from train.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_training_is_refused_until_the_first_one_is_dead(tmp_path):
    out = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(out)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match="Another process is training"), locked(out):
        pytest.fail("two trainings in one folder")
    assert out.is_dir()
    holder.kill()
    holder.communicate()
    with locked(out):
        (out / "file").write_bytes(b"x")
    assert os.listdir(out) == ["file"]


def test_a_folder_that_stayed_empty_goes(tmp_path):
    with pytest.raises(DataError), locked(tmp_path / "run"):
        raise DataError("the data are missing")
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_folder_can_be_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(DataError, match="choose another --out"), locked(tmp_path / "file" / "run"):
        pytest.fail("there is no such folder")


def test_the_other_processes_of_one_training_pass(tmp_path, monkeypatch):
    with locked(tmp_path / "run"):
        monkeypatch.setenv("RANK", "1")
        with locked(tmp_path / "run"):
            pass
