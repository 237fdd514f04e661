from __future__ import annotations

import csv
import json
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from emotion.labels import LABELS
from emotion.shell.cli import main

EMBEDDED = resources.files("emotion") / "assets" / "model"


@pytest.fixture
def folder(tmp_path: Path, astronaut: npt.NDArray[np.uint8]) -> Path:
    """Two portraits, one below a folder with a space, and a picture without a face."""
    pictures = tmp_path / "pictures"
    (pictures / "more ü").mkdir(parents=True)
    Image.fromarray(astronaut).save(pictures / "a.png")
    Image.fromarray(astronaut[:, ::-1]).save(pictures / "more ü" / "b.JPG", "JPEG")
    Image.new("RGB", (90, 90)).save(pictures / "none.png")
    return pictures


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_csv_has_the_exact_header_and_one_row_per_picture(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "scores.csv"

    assert main(["classify", str(folder), "--csv", str(target)]) == 0

    lines = target.read_text("utf-8").splitlines()
    assert lines[0] == "filepath,happiness,surprise,sadness,anger,disgust,fear"
    table = rows(target)[1:]
    assert [Path(row[0]).name for row in table] == ["a.png", "b.JPG", "none.png"]
    for row in table[:2]:
        assert all(len(cell.split(".")[1]) == 4 for cell in row[1:])
        assert sum(map(float, row[1:])) == pytest.approx(1, abs=4e-4)
    assert table[2][1:] == [""] * 6
    assert "none.png: no face was found" in capsys.readouterr().err


def test_all_faces_adds_a_row_and_a_box_per_face(
    tmp_path: Path, astronaut: npt.NDArray[np.uint8]
) -> None:
    head = astronaut[20:220, 120:320]
    Image.fromarray(np.hstack([head, head])).save(tmp_path / "two.png")
    target = tmp_path / "scores.csv"

    assert main(["classify", str(tmp_path), "--all-faces", "--csv", str(target)]) == 0

    header, first, second = rows(target)
    assert header == ["filepath", *LABELS, "face", "x", "y", "width", "height"]
    assert [first[7], second[7]] == ["1", "2"]
    assert abs(float(first[8]) - float(second[8])) > 150


def test_json_holds_every_number(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "faces.json"

    assert main(["classify", str(folder / "a.png"), "--json", str(target)]) == 0

    ((face,),) = [entry["faces"] for entry in json.loads(target.read_text("utf-8"))]
    assert face["label"] == "happiness"
    assert face["sure"] is True
    assert face["candidates"][0] == "happiness"
    assert list(face["probabilities"]) == list(LABELS)
    assert len(face["box"]) == 4
    assert np.shape(face["landmarks"]) == (5, 2)


def test_without_a_target_the_answer_is_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(folder / "a.png")]) == 0

    assert "a.png: happiness " in capsys.readouterr().out


def test_an_answer_below_the_weights_threshold_is_not_sure(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "careful"
    weights.mkdir()
    config = json.loads((EMBEDDED / "config.json").read_text("utf-8"))
    (weights / "config.json").write_text(json.dumps({**config, "abstain_below": 0.9999}), "utf-8")
    (weights / "model.safetensors").symlink_to(EMBEDDED / "model.safetensors")
    target = tmp_path / "faces.json"
    command = ["classify", str(folder / "a.png"), "--weights", str(weights)]

    assert main(command) == 0
    assert main([*command, "--json", str(target)]) == 0

    assert "a.png: not sure: happiness " in capsys.readouterr().out
    ((face,),) = [entry["faces"] for entry in json.loads(target.read_text("utf-8"))]
    assert face["sure"] is False
    assert len(face["candidates"]) == 2


def test_without_detection_every_picture_has_a_row(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"

    assert main(["classify", str(folder), "--no-detect", "--csv", str(target)]) == 0

    assert all(all(row[1:]) for row in rows(target)[1:])


def test_unreadable_files_are_counted_and_listed_and_the_rest_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "notes.txt").write_text("no picture")
    target = tmp_path / "scores.csv"

    assert main(["classify", str(folder), "--csv", str(target)]) == 0

    errors = capsys.readouterr().err
    assert "broken.jpg" in errors
    assert "1 of 4 files could not be read." in errors
    assert "1 files left out" in errors
    table = rows(target)
    assert [Path(row[0]).name for row in table[1:]] == ["a.png", "broken.jpg", "b.JPG", "none.png"]
    assert table[2][1:] == [""] * 6


@pytest.mark.parametrize(
    "arguments",
    [
        ["{empty}"],
        ["{empty}/gone.jpg"],
        ["{text}"],
        ["{picture}", "--csv", "{empty}/gone/scores.csv"],
        ["{picture}", "--csv", "{empty}"],
        ["{picture}", "--weights", "{empty}"],
    ],
    ids=[
        "empty folder",
        "missing file",
        "text",
        "missing target folder",
        "target is a folder",
        "weights",
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text.jpg"
    text.write_text("hello")
    places = {"empty": empty, "text": text, "picture": folder / "a.png"}

    code = main(["classify", *(argument.format(**places) for argument in arguments)])

    assert code == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors
    assert "Traceback" not in "".join(errors)
    assert not list(empty.iterdir())


def test_unknown_options_end_with_exit_code_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["classify", "x.jpg", "--colour"])

    assert caught.value.code == 2
