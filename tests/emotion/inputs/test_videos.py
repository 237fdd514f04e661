"""Videos keep their times, shape and sound, and are judged as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from emotion import Analyzer
from emotion.labels import LABELS
from emotion.shell.cli import main
from emotion.video.file import VideoReader
from tests.support.videos import sightings

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


def write(
    path: Path,
    frames: Sequence[tuple[float, Pixels]],
    codec: str = "libx264",
    aspect: Fraction = Fraction(1),
    sound: str | None = None,
) -> None:
    """Write frames at their times in seconds, with a second of a tone from 0 on."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=30)
        stream.height, stream.width = frames[0][1].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.sample_aspect_ratio = aspect
        voice: Any = container.add_stream(sound, rate=48_000) if sound else None
        if voice is not None:
            tone = np.sin(np.arange(48_000) * 0.06).astype(np.float32)[None] * 0.3
            part = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            part.rate, part.pts, part.time_base = 48_000, 0, Fraction(1, 48_000)
            voice.codec_context.layout = "mono"
            container.mux([*voice.encode(part), *voice.encode(None)])
        for time_s, picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def shown(path: Path) -> tuple[list[float], float, Any]:
    """Return the times of a copy's frames, its length in seconds, and its sound if it has some."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        times = [float(frame.time or 0) for frame in container.decode(video)]
        return times, float((video.duration or 0) * (video.time_base or 0)), container.duration


def scene(number: int) -> Pixels:
    picture = np.full((64, 96, 3), 60, np.uint8)
    picture[:, number % 90 : number % 90 + 6] = 200
    return picture


@pytest.mark.parametrize("name", ["in.mp4", "in.webm"])
def test_the_case_of_a_variable_rate_lasts_as_long_as_its_source(
    analyzer: Analyzer, cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    count, _ = sightings(analyzer, cases / "vfr-copy" / name, tmp_path / "out.mp4")

    times, length, _ = shown(tmp_path / "out.mp4")
    assert count == len(times) == 72
    assert times[-1] == pytest.approx(3.833, abs=0.002)
    assert length == pytest.approx(4.0, abs=0.01)
    assert capsys.readouterr().err == ""


def test_the_case_of_a_lossless_trim_raises_no_alarm(
    analyzer: Analyzer, cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, _ = sightings(analyzer, cases / "false-cut-alarm/trim.mp4")

    assert count == 75
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["hdv.mp4", "pal.mp4"])
def test_the_case_of_pixels_that_are_not_square(analyzer: Analyzer, cases: Path, name: str) -> None:
    with VideoReader(cases / "anamorphic" / name) as reader:
        picture, _ = next(iter(reader))
    with VideoReader(cases / "anamorphic" / "square.mp4") as reader:
        expected, _ = next(iter(reader))

    assert picture.shape == expected.shape == (480, 640, 3)
    (face,), (square,) = analyzer.analyze(picture), analyzer.analyze(expected)
    assert face.label == square.label == "happiness"
    assert face.box is not None
    assert square.box is not None
    assert np.abs(face.box - square.box).max() < 5


def test_tall_pixels_are_stretched_downwards(
    analyzer: Analyzer, astronaut: Pixels, tmp_path: Path
) -> None:
    head = cv2.resize(astronaut[20:220, 120:320], (200, 100), interpolation=cv2.INTER_AREA)
    write(tmp_path / "a.mp4", [(0.0, np.asarray(head, np.uint8))] * 1, aspect=Fraction(1, 2))

    with VideoReader(tmp_path / "a.mp4") as reader:
        ((picture, time_s),) = list(reader)

    assert picture.shape == (200, 200, 3)
    assert time_s == 0
    assert analyzer.analyze(picture)[0].label == "happiness"


@pytest.mark.parametrize(
    "times",
    [[0.0, 0.04, 0.08, 1.5, 1.54], [0.0, 30.0, 60.0], [i / 480 for i in range(12)]],
    ids=["variable", "time lapse", "slow motion"],
)
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_copy_has_its_sources_times(
    analyzer: Analyzer, tmp_path: Path, times: list[float], kind: str
) -> None:
    write(tmp_path / f"in.{kind}", [(t, scene(i)) for i, t in enumerate(times)])

    sightings(analyzer, tmp_path / f"in.{kind}", tmp_path / "out.mp4")

    copied, length, _ = shown(tmp_path / "out.mp4")
    assert copied == pytest.approx(times, abs=0.002)
    assert length > times[-1]


@pytest.mark.parametrize(
    ("kind", "sound", "kept"),
    [("mp4", "aac", "aac"), ("mkv", "flac", "aac"), ("mkv", "mp3", "mp3")],
)
def test_sound_is_kept(
    analyzer: Analyzer, tmp_path: Path, kind: str, sound: str, kept: str
) -> None:
    write(tmp_path / f"in.{kind}", [(i / 10, scene(i)) for i in range(10)], "mpeg4", sound=sound)

    sightings(analyzer, tmp_path / f"in.{kind}", tmp_path / "out.mp4")

    with av.open(str(tmp_path / "out.mp4")) as container:
        voice = container.streams.audio[0]
        assert voice.codec_context.name.startswith(kept)
        heard = [frame.to_ndarray() for frame in container.decode(voice)]
    samples = np.concatenate([part.mean(0) for part in heard])
    assert len(samples) == pytest.approx(48_000, rel=0.08)
    assert np.abs(samples).max() > 0.1


def test_av1_is_decoded(tmp_path: Path) -> None:
    # Called by root, SVT-AV1's encoder gives its caller's thread a real-time priority for good.
    with ThreadPoolExecutor(1) as encoder:
        frames = [(i / 10, scene(i)) for i in range(3)]
        encoder.submit(write, tmp_path / "in.mp4", frames, "libsvtav1").result()

    with VideoReader(tmp_path / "in.mp4") as reader:
        pictures = [picture for picture, _ in reader]

    assert len(pictures) == 3
    assert np.abs(pictures[1].astype(int) - scene(1)).mean() < 12


def test_an_unknown_codec_is_named_with_the_line_that_helps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in.mp4", [(0.0, scene(0))])
    data = (tmp_path / "in.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(data.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))

    assert main(["video", str(tmp_path / "in.mp4")]) == 2

    errors = capfd.readouterr().err
    assert "ffmpeg -i in.mp4" in errors
    assert errors.count("\n") == 1


def test_a_screen_that_stands_still_at_the_end_is_not_cut_off(tmp_path: Path) -> None:
    write(tmp_path / "in.mkv", [(t, scene(0)) for t in (0.0, 0.1, 4.0, 4.1, 9.0)])

    with VideoReader(tmp_path / "in.mkv") as reader:
        assert len(list(reader)) == 5
        assert reader.remark() is None


def test_an_mp4_that_is_cut_off_says_so(
    tmp_path: Path, analyzer: Analyzer, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 96, 3), np.uint8)
    with av.open(str(tmp_path / "in.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for picture in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    data = (tmp_path / "in.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(data[: len(data) // 2])

    count, _ = sightings(analyzer, tmp_path / "in.mp4")

    assert 5 < count < 35
    assert "cut off" in capsys.readouterr().err


def test_a_face_that_shows_for_two_frames_is_none_and_one_that_stays_has_all_its_frames(
    analyzer: Analyzer, astronaut: Pixels, tmp_path: Path
) -> None:
    head = cv2.resize(astronaut[20:220, 120:320], (120, 120), interpolation=cv2.INTER_AREA)
    frames = []
    for number in range(8):
        picture = np.full((160, 320, 3), 110, np.uint8)
        picture[20:140, 20:140] = head
        if number in (3, 4):
            picture[20:140, 180:300] = head
        frames.append((number / 30, picture))
    write(tmp_path / "in.mp4", frames)

    _, seen = sightings(analyzer, tmp_path / "in.mp4", tmp_path / "out.mp4")

    assert [one.frame for one in seen] == list(range(8))
    assert {one.face for one in seen} == {1}
    assert {LABELS[one.probabilities.argmax()] for one in seen} == {"happiness"}
    with VideoReader(tmp_path / "out.mp4") as reader:
        first, _ = next(iter(reader))
    assert np.abs(first.astype(int) - frames[0][1]).max() > 60  # its box is there from the start
