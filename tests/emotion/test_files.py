from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import yaml

from emotion import plain_yaml
from emotion.errors import DataError
from emotion.files import check_target, write_bytes


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    write_bytes(tmp_path / "a", b"new")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a", b"new")]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path, exists):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    if exists:
        target.write_bytes(b"old")
    link.symlink_to("folder/target")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [entry.name for entry in target.parent.iterdir()] == ["target"]


def test_a_named_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    while True:  # until the reader is there
        try:
            write_bytes(pipe, b"x" * 200_000)
            break
        except DataError:
            continue
    reader.join(timeout=30)
    assert read == [b"x" * 200_000]
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_is_no_endless_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="cannot be written"):
        write_bytes(tmp_path / "pipe", b"x")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
@pytest.mark.parametrize("through_link", [False, True])
def test_a_device_stays_one_even_for_root(tmp_path, device, through_link):
    if not Path(device).is_char_device():
        pytest.skip(f"this machine has no {device}")
    path = Path(device)
    if through_link:
        path = tmp_path / "link"
        path.symlink_to(device)
    if device == "/dev/full":
        with pytest.raises(DataError, match="No space"):
            write_bytes(path, b"x")
    else:
        write_bytes(path, b"x")
    assert Path(device).is_char_device()


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"x")
    return folder / "file" / "x.csv"


@pytest.mark.parametrize(
    "bad",
    [
        loop,
        below_a_file,
        lambda folder: folder / ("x" * 300),
        lambda folder: folder / "a\0b",
        lambda folder: folder,
        lambda folder: Path("/dev/null/x"),
    ],
    ids=["loop", "below a file", "long", "zero byte", "folder", "below a device"],
)
def test_what_cannot_be_a_target_is_said_in_a_sentence_before_and_when_writing(tmp_path, bad):
    path = bad(tmp_path)
    with pytest.raises(DataError) as error:
        check_target(path)
    assert str(error.value).endswith(".")
    assert len(str(error.value)) < 400
    with pytest.raises(DataError):
        write_bytes(path, b"x")
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_that_is_missing_is_said_before(tmp_path):
    with pytest.raises(DataError, match="create it first"):
        check_target(tmp_path / "missing" / "x.csv")
    check_target(tmp_path / "x.csv")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a [*a]",
        "when: 2024-13-45",
        "when: 2024-02-30T99:99:99Z",
        "a: " + "[" * 5000,
        "? {a: b}\n: c",
        "a: !!python/object/apply:os.system [ls]",
        "a: b: c",
        "a: !!int x",
        "\x00",
    ],
)
def test_yaml_that_is_none_is_one_kind_of_error(text, tmp_path):
    with pytest.raises(yaml.YAMLError):
        plain_yaml.parse(text)
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(yaml.YAMLError):
        plain_yaml.read(tmp_path / "space.yaml")


def test_a_file_of_many_megabytes_is_not_read(tmp_path):
    (tmp_path / "space.yaml").write_text("a: " + "x" * plain_yaml.MAX_BYTES)
    with pytest.raises(OSError, match="too large"):
        plain_yaml.read(tmp_path / "space.yaml")
