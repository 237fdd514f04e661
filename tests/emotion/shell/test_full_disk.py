"""Copies of videos where the disk ends, and paths that are no ordinary files."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from emotion.errors import DataError, ImageError, WeightsError
from emotion.images import decode_image
from emotion.shell.cli import main
from emotion.video import copy as video_copy
from emotion.video.copy import VideoWriter
from emotion.video.file import VideoReader
from emotion.weights import load


@pytest.fixture
def clip(tmp_path) -> Path:
    """Twenty frames of noise, which compresses badly."""
    path = tmp_path / "clip.mp4"
    chance = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(20):
            picture = chance.integers(0, 256, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


@contextmanager
def files_end_at(size: int):
    """Let every write beyond so many bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def copy(clip: Path, out: Path) -> None:
    with VideoReader(clip) as reader, VideoWriter(out, reader) as writer:
        for picture, time_s in reader:
            writer.write(picture, time_s)
        writer.finish(reader.end_s)


@pytest.mark.parametrize("size", [100, 5_000, 30_000])
def test_a_copy_that_the_disk_cannot_hold_leaves_the_older_one(clip, tmp_path, size):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"the older one")
    with files_end_at(size), pytest.raises(DataError, match="cannot be written"):
        copy(clip, out)
    assert out.read_bytes() == b"the older one"
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "out.mp4"]


def test_frames_that_did_not_arrive_are_missed_even_if_nobody_complains(
    clip, tmp_path, monkeypatch
):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"the older one")
    monkeypatch.setattr(video_copy, "_count_frames", lambda _: 19)
    with pytest.raises(DataError, match="19 of 20 frames"):
        copy(clip, out)
    assert out.read_bytes() == b"the older one"


def test_a_copy_goes_where_a_link_leads(clip, tmp_path):
    (tmp_path / "out.mp4").symlink_to("target.mp4")
    copy(clip, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").is_symlink()
    with VideoReader(tmp_path / "target.mp4") as reader:
        assert sum(1 for _ in reader) == 20


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.jpg")
    return folder / "pipe.jpg"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


ODD = {
    "a pipe": pipe,
    "a loop": loop,
    "a long name": lambda folder: folder / ("x" * 300),
    "below a file": lambda folder: Path(__file__) / "x.jpg",
    "a device": lambda folder: Path("/dev/zero"),
    "a zero byte": lambda folder: folder / "a\0b",
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_ordinary_file_is_one_sentence(kind, tmp_path, capsys):
    path = ODD[kind](tmp_path)
    with pytest.raises(ImageError) as error:
        decode_image(path)
    assert str(error.value).endswith(".")
    assert main(["video", str(path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("kind", ODD)
def test_weights_that_cannot_be_a_folder_are_one_sentence(kind, tmp_path):
    with pytest.raises(WeightsError, match="are not there") as error:
        load(str(ODD[kind](tmp_path)))
    assert len(str(error.value)) < 500
