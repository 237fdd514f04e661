"""``python -m emotion classify`` as people use it in a shell: patterns, pipes, workers, Ctrl-C."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from emotion.analyzer import Analyzer
from emotion.labels import LABELS
from emotion.shell.cli import main
from emotion.shell.look import Looked, Looker
from tests.conftest import REPOSITORY

RUN = [sys.executable, "-m", "emotion", "classify"]


pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture
def folder(tmp_path: Path, astronaut: npt.NDArray[np.uint8]) -> Path:
    """Six pictures of two heads each, two of them in a folder below, and one without a face."""
    pictures = tmp_path / "pictures"
    (pictures / "below, deep").mkdir(parents=True)
    head = np.asarray(Image.fromarray(astronaut[20:220, 120:320]).resize((120, 120)))
    two = np.hstack([head, head[:, ::-1]])
    for number, place in enumerate(["a", "b", "c", "d", "below, deep/e", "below, deep/f"]):
        Image.fromarray(np.roll(two, 3 * number, 0)).save(pictures / f"{place}.png")
    Image.new("RGB", (90, 90)).save(pictures / "none.png")
    return pictures


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


class Stop:
    """Lets ``Looker.look`` look at so many pictures, then Ctrl-C is pressed; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left, self.looked = after, list[str]()
        whole: Callable[[Looker, str], Looked] = Looker.look

        def look(looker: Looker, source: str) -> Looked:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.looked.append(source)
            return whole(looker, source)

        monkeypatch.setattr(Looker, "look", look)


def test_a_pattern_in_quotes_is_the_files_that_fit_each_once(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    patterns = [f"{folder}/**/[a-e].png", f"{folder}/a*"]

    assert main(["classify", *patterns, "--csv", str(target)]) == 0

    assert [Path(row[0]).name for row in table(target)[1:]] == [
        *("a.png", "b.png", "below, deep/e.png", "c.png", "d.png")[:2],
        *("e.png", "c.png", "d.png"),
    ]


def test_a_file_whose_name_is_a_pattern_is_that_file(folder: Path, tmp_path: Path) -> None:
    (folder / "a.png").rename(tmp_path / "[ab].png")
    target = tmp_path / "scores.csv"

    assert main(["classify", f"{tmp_path}/[ab].png", "--csv", str(target)]) == 0

    assert [Path(row[0]).name for row in table(target)[1:]] == ["[ab].png"]


def test_standard_input_and_output(folder: Path) -> None:
    content = (folder / "a.png").read_bytes()

    run = subprocess.run(
        [*RUN, "-", "--csv", "-"], input=content, capture_output=True, cwd=REPOSITORY, check=True
    )

    header, row = csv.reader(io.StringIO(run.stdout.decode()))
    assert header == ["filepath", *LABELS]
    assert row[0] == "-"
    assert sum(map(float, row[1:])) == pytest.approx(1, abs=4e-4)


def test_json_on_standard_output_is_what_a_file_would_hold(
    folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    paths = [str(folder / "a.png"), str(folder / "none.png")]

    assert main(["classify", *paths, "--json", "-"]) == 0
    assert main(["classify", *paths, "--json", str(tmp_path / "faces.json")]) == 0

    out = capsysbinary.readouterr().out
    assert out == (tmp_path / "faces.json").read_bytes()
    values = json.loads(out)
    assert [len(value["faces"]) for value in values] == [1, 0]
    assert out.decode() == json.dumps(values, indent=2) + "\n"


def test_further_columns_stand_behind_the_probabilities(
    folder: Path, tmp_path: Path, analyzer: Analyzer
) -> None:
    target = tmp_path / "scores.csv"

    code = main(
        ["classify", str(folder), "--csv", str(target), "--columns", "answer,sure,calm,box"]
    )

    assert code == 0
    header, first, *_, last = table(target)
    assert header == ["filepath", *LABELS, "answer", "sure", "calm", "x", "y", "width", "height"]
    (face,) = analyzer.analyze(first[0], max_faces=1)
    assert face.box is not None
    assert first[7:9] == [face.answer, str(int(face.sure))]
    assert float(first[9]) == pytest.approx(face.calm, abs=1e-4)
    assert float(first[10]) + float(first[12]) == pytest.approx(face.box[2], abs=0.1)
    assert last[1:] == [""] * 13


def test_what_is_stopped_goes_on_and_ends_as_if_it_had_not_been(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = [tmp_path / "whole.csv", tmp_path / "whole.json"]
    parts = [tmp_path / "parts.csv", tmp_path / "parts.json"]
    command = ["classify", str(folder), "--all-faces"]
    assert main([*command, "--csv", str(whole[0]), "--json", str(whole[1])]) == 0
    stop = Stop(monkeypatch, after=4)
    command += ["--csv", str(parts[0]), "--json", str(parts[1])]

    assert main(command) == 130

    assert "4 of 7 pictures are finished" in capsys.readouterr().err
    assert not parts[0].exists()
    partial = parts[0].with_name("parts.csv.partial").read_bytes()
    assert whole[0].read_bytes().startswith(partial)
    assert partial.endswith(b"\n")
    stop.left = 100
    assert main(command) == 2
    assert "--resume" in capsys.readouterr().err
    stop.looked.clear()
    assert main([*command, "--resume"]) == 0
    assert len(stop.looked) == 4  # the last one of before anew, since it may lack rows
    for one, other in zip(whole, parts, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("parts.csv", "parts.json", "pictures", "whole.csv", "whole.json"),
    ]


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_table_that_ends_in_the_middle_of_a_row_goes_on_before_it(
    cut: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    command = ["classify", str(folder), "--all-faces", "--csv"]
    assert main([*command, str(whole)]) == 0
    stop = Stop(monkeypatch, after=3)
    assert main([*command, str(parts)]) == 130
    partial = tmp_path / "parts.csv.partial"
    partial.write_bytes(partial.read_bytes()[:-cut])
    stop.left = 100

    assert main([*command, str(parts), "--resume"]) == 0

    assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "answer"], "other columns"),
        (["--no-detect"], "other weights or options"),
        (["--min-score", "0.7"], "other weights or options"),
    ],
)
def test_rows_that_were_made_in_another_way_are_not_mixed(
    options: list[str],
    words: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["classify", str(folder), "--csv", str(tmp_path / "scores.csv")]
    stop = Stop(monkeypatch, after=3)
    assert main(command) == 130
    partial = tmp_path / "scores.csv.partial"
    before = partial.read_bytes()
    stop.left = 100
    capsys.readouterr()

    assert main([*command, *options, "--resume"]) == 2

    assert words in capsys.readouterr().err
    assert partial.read_bytes() == before


def test_stopped_before_the_first_picture_leaves_nothing(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Stop(monkeypatch, after=0)

    assert main(["classify", str(folder), "--csv", str(tmp_path / "scores.csv")]) == 130

    assert "No file was written." in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["https://example.org/a.jpg"], "curl -sL https://example.org/a.jpg |"),
        (["{folder}/*.jpeg"], "No file fits"),
        (["{folder}", "--columns", "answer"], "--csv"),
        (["{folder}", "--resume"], "--csv F or --json F"),
        (["{folder}", "--csv", "-", "--json", "-"], "Standard output cannot take two"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", *(text.format(folder=folder) for text in arguments)]) == 2

    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("option", [["--workers", "0"], ["--workers", "x"], ["--columns", "a,b"]])
def test_options_that_cannot_be_end_with_exit_code_2(option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["classify", "x.jpg", *option])

    assert caught.value.code == 2


def test_workers_that_are_killed_with_their_parent_leave_rows_to_go_on_from(
    folder: Path, tmp_path: Path
) -> None:
    for number in range(20):
        (folder / f"more{number:02}.png").symlink_to(folder / "a.png")
    whole, target = tmp_path / "whole.csv", tmp_path / "scores.csv"
    command = ["classify", str(folder), "--csv"]
    process = subprocess.Popen(
        [*RUN, *command[1:], str(target), "--workers", "2"], cwd=REPOSITORY, start_new_session=True
    )
    partial = tmp_path / "scores.csv.partial"
    deadline = time.monotonic() + 120
    while not partial.exists() or partial.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)

    process.kill()

    process.wait()
    assert not target.exists()
    while members(process.pid):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)
    assert main([*command, str(target), "--resume"]) == 0
    assert main([*command, str(whole)]) == 0
    rows, expected = table(target), table(whole)
    assert [row[0] for row in rows] == [row[0] for row in expected]
    for row, other in zip(rows[1:-1], expected[1:-1], strict=True):
        for one, two in zip(row[1:], other[1:], strict=True):
            assert abs(float(one or 0) - float(two or 0)) < 2e-4  # as many threads add otherwise


def members(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, *numbers = (entry / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if int(numbers[2]) == session and state != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.slow  # loads two more workers than the test above
def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(folder: Path, tmp_path: Path) -> None:
    for number in range(20):
        (folder / f"more{number:02}.png").symlink_to(folder / "a.png")
    process = subprocess.Popen(
        [*RUN, str(folder), "--csv", str(tmp_path / "scores.csv"), "--workers", "2"],
        cwd=REPOSITORY,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    partial = tmp_path / "scores.csv.partial"
    while not partial.exists() or partial.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.02)

    os.killpg(process.pid, signal.SIGINT)

    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "repeat the command with --resume" in errors
    assert "Traceback" not in errors
    deadline = time.monotonic() + 20
    while members(process.pid):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)
