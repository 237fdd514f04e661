"""Folders: every format, links followed once, and a row for whatever could not be read."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from emotion.errors import DataError
from emotion.images import decode_image
from emotion.shell.cli import main
from emotion.shell.folders import list_pictures, suffixes
from tests.emotion.heif import heic

Pixels = npt.NDArray[np.uint8]


def rows(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return {row[0]: row[1:] for row in list(csv.reader(file))[1:]}


def test_the_case_of_linked_folders(cases: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder-links"
    folder.mkdir()
    shutil.copy(cases / "folder-links" / "a.jpg", folder)
    subprocess.run(["sh", cases / "folder-links" / "make.sh"], cwd=folder, check=True)
    table, facts = tmp_path / "out.csv", tmp_path / "out.json"

    assert main(["classify", str(folder / "set"), "--csv", str(table), "--json", str(facts)]) == 0

    scores = rows(table)
    assert scores[str(folder / "set" / "happy" / "a.jpg")][0] > "0.5"
    assert scores[str(folder / "set" / "gone.jpg")] == [""] * 6
    entries = {entry["filepath"]: entry for entry in json.loads(facts.read_text("utf-8"))}
    assert "does not exist" in entries[str(folder / "set" / "gone.jpg")]["error"]
    assert entries[str(folder / "set" / "happy" / "a.jpg")]["error"] is None


def test_the_case_of_a_link_to_itself_costs_its_own_row_alone(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(cases / "folder-links" / "a.jpg", tmp_path)
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    table = tmp_path / "out.csv"
    paths = [str(tmp_path / "a.jpg"), str(tmp_path / "loop.jpg"), str(tmp_path / ("x" * 300))]

    assert main(["classify", *paths, "--csv", str(table)]) == 0

    scores = rows(table)
    assert list(scores) == paths
    assert scores[paths[0]][0] > "0.5"
    assert scores[paths[1]] == scores[paths[2]] == [""] * 6
    assert capsys.readouterr().err.splitlines()[-1] == "2 of 3 files could not be read."


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two real folders of which one is linked from three places, one of them inside itself."""
    folder = tmp_path / "tree"
    (folder / "b" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for place in (folder / "a.png", folder / "b" / "deep" / "c.png", tmp_path / "elsewhere/d.png"):
        Image.new("RGB", (8, 8)).save(place)
    (folder / "a-link").symlink_to("b")
    (folder / "b" / "deep" / "up").symlink_to(folder)
    (folder / "one").symlink_to(tmp_path / "elsewhere")
    (folder / "two").symlink_to("one")
    return folder


def test_every_folder_is_searched_once_under_its_own_name_first(tree: Path) -> None:
    listing = list_pictures(tree)

    names = [str(path.relative_to(tree)) for path in listing.pictures]
    assert names == ["a.png", "b/deep/c.png", "one/d.png"]
    assert len(listing.remarks) == 3
    assert all("read already" in remark for remark in listing.remarks)


def test_what_is_no_file_is_left_out_and_never_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "pipe.jpg")
    (tree / "._a.png").write_bytes(b"\0\5\26\7")
    (tree / "notes.txt").write_text("no picture")

    left_out = {path.name for path in list_pictures(tree).left_out}

    assert left_out == {"pipe.jpg", "._a.png", "notes.txt"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_closed_folder_is_named(tree: Path) -> None:
    (tree / "b").chmod(0)
    try:
        assert any("its pictures are missing" in line for line in list_pictures(tree).remarks)
        with pytest.raises(DataError, match="permissions"):
            list_pictures(tree / "b")
    finally:
        (tree / "b").chmod(0o700)


def test_a_folder_holds_every_format_that_is_read_alone(tmp_path: Path, astronaut: Pixels) -> None:
    picture = Image.fromarray(astronaut[20:220, 120:320])
    for ending in ("jfif", "jpe", "apng", "png", "webp", "avif", "bmp", "gif", "tif"):
        picture.save(tmp_path / f"a.{ending}")
    (tmp_path / "photo.HEIC").write_bytes(heic(astronaut[20:220, 120:320]))
    picture.save(tmp_path / "IMG_0001", "JPEG")
    table = tmp_path / "out.csv"

    assert main(["classify", str(tmp_path), "--csv", str(table)]) == 0

    scores = rows(table)
    assert len(scores) == 11
    assert all(row[0] > "0.5" for row in scores.values())
    assert {".heic", ".heif", ".jpg", ".avif"} <= suffixes()
    assert not {".eps", ".jp2", ".tga"} & suffixes()  # formats whose parsers are closed


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_heic_is_decoded_and_turned_as_it_says(astronaut: Pixels, turns: int) -> None:
    picture = astronaut[:300, :400]

    decoded = decode_image(heic(picture, turns))

    assert decoded.shape == np.rot90(picture, turns).shape
    assert np.abs(decoded.astype(int) - np.rot90(picture, turns)).mean() < 4


def test_names_of_any_bytes_are_printed_and_written(
    tmp_path: Path, astronaut: Pixels, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Image.fromarray(astronaut[20:220, 120:320]).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", name)
    table = tmp_path / "out.csv"

    assert main(["classify", os.fsdecode(name), "--csv", str(table)]) == 0

    assert list(rows(table)) == [os.fsdecode(name)]


def test_a_folder_of_which_nothing_can_be_read_has_its_rows_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "empty.jpg").touch()
    (pictures / "text.png").write_text("hello")
    table = tmp_path / "out.csv"

    assert main(["classify", str(pictures), "--csv", str(table)]) == 2

    assert list(rows(table).values()) == [[""] * 6] * 2
    assert capsys.readouterr().err.splitlines()[-1] == "2 of 2 files could not be read."
