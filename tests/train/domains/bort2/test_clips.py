from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from emotion.align import DEFAULT_ZOOM
from emotion.analyzer import Analyzer
from emotion.errors import DataError
from emotion.images import decode_image
from train.domains.bort2.clips import read_clips

Photo = npt.NDArray[np.uint8]


def write_video(path: Path, frames: list[Photo], rate: float) -> None:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def test_faces_of_pictures_and_videos_are_the_crops_that_are_served(
    tmp_path: Path, astronaut: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Engines differ by a hundredth of a pixel, and torch prepares the faces that are trained on.
    monkeypatch.setenv("EMOTION_ENGINE", "torch")
    Image.fromarray(astronaut).save(tmp_path / "b.png")
    (tmp_path / "deep").mkdir()
    empty = np.zeros_like(astronaut)
    write_video(tmp_path / "deep" / "a.avi", [astronaut] * 4 + [empty] * 4, rate=8.0)
    (tmp_path / "notes.txt").write_text("no picture")

    faces = read_clips(tmp_path, DEFAULT_ZOOM)

    assert len(faces) == 1 + 2  # every second frame, and half of those are black
    assert torch.equal(faces.targets, torch.full((3, 6), 1 / 6))
    served = Analyzer.from_weights().analyze(decode_image(tmp_path / "b.png"))[0].crop
    assert np.array_equal(faces.faces[0].numpy(), served)
    correlation = np.corrcoef(faces.faces[1].numpy().ravel(), served.ravel())[0, 1]
    assert correlation > 0.95


def test_a_damaged_file_is_named_and_the_others_are_read(
    tmp_path: Path, astronaut: Photo, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    Image.fromarray(astronaut).save(tmp_path / "good.png")

    with caplog.at_level(logging.WARNING):
        faces = read_clips(tmp_path, DEFAULT_ZOOM)

    assert len(faces) == 1
    assert "broken.mp4" in caplog.text
    assert "broken.png" in caplog.text


def test_a_folder_without_files_or_faces_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        read_clips(tmp_path / "none", DEFAULT_ZOOM)
    with pytest.raises(DataError, match="no video or picture"):
        read_clips(tmp_path, DEFAULT_ZOOM)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(DataError, match="show no face"):
        read_clips(tmp_path, DEFAULT_ZOOM)
