"""Parts of videos, several of them, streams, and what is said and drawn about people in them."""

from __future__ import annotations

import csv
import functools
import http.server
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from emotion import Analyzer, to_frame
from emotion.errors import ConfigError, ImageError
from emotion.labels import COLORS, LABELS
from emotion.shell.cli import main
from emotion.shell.video_table import HEADER
from emotion.tracker import Tracker
from emotion.video.file import VideoReader
from emotion.video.people import LONGEST_DOUBT, Pending, People, Sighting
from emotion.video.plot import MOST_BINS, Timeline, draw_timeline
from tests.support.videos import sightings

Pixels = npt.NDArray[np.uint8]
RATE = 10


pytestmark = pytest.mark.usefixtures("loaded_once")


def numbered(number: int) -> Pixels:
    """A frame that shows its number: a bright bar as long as it."""
    picture = np.full((32, 160, 3), 30, np.uint8)
    picture[:, :number] = 220
    return picture


def number_of(picture: Pixels) -> int:
    return int((picture.mean((0, 2)) > 125).sum())


def write(path: Path, pictures: list[Pixels], *, tone_from: float | None = None) -> Path:
    """Write a video of ``RATE`` frames a second, with silence and then a tone if asked for."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=RATE)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", 12
        voice: Any = container.add_stream("aac", rate=8000) if tone_from is not None else None
        if voice is not None:
            times = np.arange(8000 * len(pictures) // RATE) / 8000
            tone = np.where(times >= tone_from, 0.5 * np.sin(times * 3000), 0)
            part = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], "fltp", "mono")
            part.rate, part.pts, part.time_base = 8000, 0, Fraction(1, 8000)
            voice.codec_context.layout = "mono"
            container.mux([*voice.encode(part), *voice.encode(None)])
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def portrait(astronaut: Pixels) -> Pixels:
    """A frame with one smiling face."""
    picture = np.full((160, 240, 3), 110, np.uint8)
    head = cv2.resize(astronaut[20:220, 120:320], (120, 120), interpolation=cv2.INTER_AREA)
    picture[20:140, 60:180] = head
    return picture


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts"])
def test_a_part_of_a_video_has_the_frames_and_times_of_the_whole(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"in.{kind}", [numbered(n) for n in range(120)])

    with VideoReader(path, start=7.5, end=9.2, every=0.5) as reader:
        found = [(number_of(picture), time_s) for picture, time_s in reader]
        assert reader.remark() is None
        assert reader.count == 3

    assert [number for number, _ in found] == pytest.approx([75, 80, 85, 90], abs=1)
    assert [time_s for _, time_s in found] == pytest.approx([7.5, 8.0, 8.5, 9.0], abs=0.06)


def test_times_that_a_video_does_not_have_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "in.mp4", [numbered(n) for n in range(12)])

    with (
        VideoReader(path, start=3) as reader,
        pytest.raises(ImageError, match=r"ends after 1\.2 s"),
    ):
        list(reader)
    with pytest.raises(ConfigError, match="must come after"):
        VideoReader(path, start=3, end=2)


def test_the_copy_of_a_part_begins_there_with_its_sound(analyzer: Analyzer, tmp_path: Path) -> None:
    path = write(tmp_path / "in.mp4", [numbered(n) for n in range(60)], tone_from=4.0)

    frames, _ = sightings(analyzer, path, tmp_path / "out.mp4", start=3.0, end=5.5, every=0.5)

    assert frames == 5
    with VideoReader(tmp_path / "out.mp4") as reader:
        copied = [(number_of(picture), time_s) for picture, time_s in reader]
    assert [number for number, _ in copied] == pytest.approx([30, 35, 40, 45, 50], abs=1)
    assert [time_s for _, time_s in copied] == pytest.approx([0, 0.5, 1, 1.5, 2], abs=0.01)
    with av.open(str(tmp_path / "out.mp4")) as container:
        heard = [
            (float(f.time or 0), np.abs(f.to_ndarray()).max()) for f in container.decode(audio=0)
        ]
    loud = [time_s for time_s, level in heard if level > 0.2]
    assert loud[0] == pytest.approx(1.0, abs=0.2)


def test_frames_far_apart_count_each_by_itself_and_keep_who_is_who(
    analyzer: Analyzer, portrait: Pixels, tmp_path: Path
) -> None:
    path = write(tmp_path / "in.mp4", [portrait] * 25)

    frames, found = sightings(analyzer, path, every=1.0)

    assert frames == 3
    assert [one.time_s for one in found] == pytest.approx([0, 1, 2], abs=0.06)
    assert {one.face for one in found} == {1}


@pytest.mark.parametrize(("every", "told"), [(0.0, "happiness"), (1.0, "fear"), (30.0, "fear")])
def test_far_apart_another_answer_is_told_at_once_and_a_long_pause_is_none(
    every: float, told: str
) -> None:
    tracker = Tracker(every=every)
    happy, afraid = (replace(face(10, 0.99), probabilities=p) for p in np.eye(6)[[0, 5]])
    tracker.update([happy], 0.0)

    (tracked,) = tracker.update([afraid], every or 0.1)

    assert (tracked.id, tracked.answer) == (1, told)


def test_a_stream_yields_frames_times_and_faces(
    analyzer: Analyzer, portrait: Pixels, tmp_path: Path
) -> None:
    path = write(tmp_path / "in.mp4", [portrait] * 8)

    found = [(image.shape, time_s, faces[0].id) for image, time_s, faces in analyzer.stream(path)]

    assert [time_s for _, time_s, _ in found] == pytest.approx(np.arange(8) / RATE, abs=0.01)
    assert found[0][0] == portrait.shape
    assert [number for _, _, number in found] == [0, 0, 1, 1, 1, 1, 1, 1]
    table = to_frame(analyzer.stream(path, start=0.4))
    assert table["face"].tolist() == [1, 1]
    assert table["answer"].tolist() == ["happiness"] * 2


def test_what_is_no_video_is_said_before_the_first_frame(analyzer: Analyzer) -> None:
    with pytest.raises(ImageError, match="is not a file"):
        analyzer.stream("gone.mp4")


def test_several_videos_are_one_table_and_a_copy_and_a_plot_each(
    portrait: Pixels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for name in ("b", "a"):
        write(tmp_path / f"{name}.mp4", [portrait] * 4)
    targets = ["--csv", str(made / "all.csv"), "--out", str(made), "--plot", str(made)]

    assert main(["video", str(tmp_path / "*.mp4"), *targets]) == 0

    with (made / "all.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["filepath", *HEADER]
    assert [Path(row[0]).name for row in rows] == ["a.mp4"] * 4 + ["b.mp4"] * 4
    assert sorted(path.name for path in made.iterdir()) == [
        *("a.mp4", "a.png", "all.csv", "b.mp4", "b.png"),
    ]
    assert Image.open(made / "a.png").format == "PNG"
    assert "share of the time: happiness 100 %" in capsys.readouterr().out


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of ours that serves the folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_ctrl_c_ends_a_stream_and_what_was_seen_is_written(
    portrait: Pixels,
    served: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "live.ts", [portrait] * 20)
    whole, calls = Analyzer.analyze, []

    def stop_at_the_sixth(self: Analyzer, image: Pixels, **options: Any) -> object:
        calls.append(image)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return whole(self, image, **options)

    monkeypatch.setattr(Analyzer, "analyze", stop_at_the_sixth)
    targets = ["--csv", str(tmp_path / "live.csv"), "--out", str(tmp_path / "live.mp4")]

    assert main(["video", f"{served}/live.ts", *targets]) == 0

    assert "5 frames, 1 faces" in capsys.readouterr().out
    assert (tmp_path / "live.csv").read_text("utf-8").count("\n") == 6
    with VideoReader(tmp_path / "live.mp4") as reader:
        assert len(list(reader)) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{served}/gone.ts"], "cannot be opened"),
        (["http://127.0.0.1:9/x.ts"], "cannot be opened"),
        (["99"], "There is no camera /dev/video99"),
        (["{folder}/*.webm"], "No file fits"),
        (["{folder}/a.mp4", "{folder}/b.mp4", "--out", "{folder}/x.mp4"], "must be a folder"),
        (["{folder}/a.mp4", "{folder}/a.mp4", "--out", "{folder}"], "called a"),
        (["{folder}/a.mp4", "--plot", "{folder}/x.svg"], "must end in .png"),
        (["{folder}/a.mp4", "--from", "5", "--to", "4"], "must come after"),
        (["{folder}/a.mp4", "--from", "5"], "ends after 0.3 s"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    words: str,
    served: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.mp4", [numbered(n) for n in range(3)])
    before = sorted(tmp_path.iterdir())

    code = main(["video", *(text.format(folder=tmp_path, served=served) for text in arguments)])

    errors = capfd.readouterr().err
    assert code == 2
    assert words in errors
    assert errors.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), ("1:01:30.5", 3690.5), (".5", 0.5)]
)
def test_times_are_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    from emotion.shell.cli import _clock

    assert _clock(text) == seconds


@pytest.mark.parametrize("text", ["", "a", "-1", "1:2:3:4", "1:", "1e3"])
def test_what_is_no_time_ends_with_exit_code_2(text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["video", "x.mp4", f"--from={text}"])

    assert caught.value.code == 2


def seen(face: int, time_s: float, label: str, held_s: float = 0.1, answer: str = "") -> Sighting:
    probabilities = np.full(6, 0.02, np.float32)
    probabilities[LABELS.index(label)] = 0.9
    told = True, 0.1, answer or label
    return Sighting(0, time_s, held_s, face, np.zeros(4, np.float32), 1.0, probabilities, *told)


def test_the_summary_says_each_ones_share_of_the_time_and_why_numbers_change() -> None:
    people = People()
    for number in range(10):
        people.add(seen(1, number / 10, "happiness" if number < 6 else "anger"))
    people.add(seen(1, 2.0, "anger", held_s=1.0, answer="not sure"))

    (line,) = people.lines()
    people.add(seen(2, 9.0, "fear"))

    assert line.startswith("face 1, 0.0-2.0 s, share of the time: not sure 50 %, happiness 30 %, ")
    assert "anger 20 %; mean: anger 0.64" in line  # (4 x .9 + 6 x .02 + 10 x .9) / 20
    assert "not seen for 2 seconds gets a new number" in people.lines()[-1]


def test_a_timeline_of_any_length_has_so_many_steps_and_the_same_means() -> None:
    timeline = Timeline()
    for number in range(40_000):
        timeline.add(seen(1, number / 10, "happiness" if number % 2 else "anger"))

    means = timeline.means(1)
    assert MOST_BINS / 2 <= len(means) <= MOST_BINS
    assert timeline.step_s * len(means) == pytest.approx(4000, rel=0.01)
    for mean in means.values():
        assert mean[LABELS.index("anger")] == pytest.approx(0.46, abs=0.01)


def test_the_plot_has_the_colours_of_what_was_seen_from_left_to_right() -> None:
    timeline = Timeline(start_s=60)
    for number in range(100):
        timeline.add(seen(1, 60 + number / 10, "happiness" if number < 50 else "sadness"))

    picture = np.asarray(Image.open(io.BytesIO(draw_timeline(timeline, "clip.mp4"))).convert("RGB"))

    rows = picture[170:, 116:-24].astype(int)  # below the legend: where the band of answers is
    for name, half in (("happiness", rows[:, :560]), ("sadness", rows[:, -560:])):
        color = [int(COLORS[name][i : i + 2], 16) for i in (1, 3, 5)]
        close = np.abs(half - color).max(2) < 12
        assert close.any(0).mean() > 0.98  # in nearly every column
    assert Image.open(io.BytesIO(draw_timeline(Timeline(), "wall.mp4"))).size[0] == picture.shape[1]


def test_rows_wait_for_a_doubtful_face_no_longer_than_said() -> None:
    """An hour of a lamp that the detector half believes must not pile up in memory."""
    tracker = Tracker(patient=True)
    handed: list[Sighting] = []
    pending = Pending([handed.append], tracker)
    longest = 0
    for number in range(600):
        time_s = number / 10
        faces = tracker.update([face(10, 0.99), face(150, 0.6)], time_s)
        pending.add(number, time_s, 0.1, faces)
        longest = max(longest, len(pending._waiting))
    pending.flush()

    assert longest <= 2 * (LONGEST_DOUBT * 10 + 2)
    assert [one.frame for one in handed] == list(range(600))
    assert {one.face for one in handed} == {1}


def face(x: float, score: float) -> Any:
    from emotion.result import FaceResult

    box = np.array([x, 10, x + 60, 70], np.float32)
    probabilities = np.full(6, 1 / 6, np.float32)
    maps, crop = np.zeros((6, 8, 8), np.float32), np.zeros((64, 64), np.uint8)
    return FaceResult(box, None, score, probabilities, maps, crop, np.eye(2, 3))
