from __future__ import annotations

import csv
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from emotion import Analyzer
from emotion.labels import LABELS
from emotion.shell.cli import main
from emotion.shell.video_table import HEADER
from tests.support.videos import sightings

Pixels = npt.NDArray[np.uint8]

RATE, FRAMES, STEP = 10.0, 6, 12
WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


def write_video(path: Path, frames: list[Pixels]) -> None:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


@pytest.fixture
def frames(astronaut: Pixels) -> list[Pixels]:
    """A smiling face that moves to the right."""
    head = cv2.resize(astronaut[20:220, 120:320], (160, 160), interpolation=cv2.INTER_AREA)
    scenes = [np.full((HEIGHT, WIDTH, 3), 110, np.uint8) for _ in range(FRAMES)]
    for number, scene in enumerate(scenes):
        scene[40:200, 20 + STEP * number : 180 + STEP * number] = head
    return scenes


@pytest.fixture
def clip(tmp_path: Path, frames: list[Pixels]) -> Path:
    write_video(tmp_path / "clip.mp4", frames)
    return tmp_path / "clip.mp4"


def read_video(path: Path) -> list[Pixels]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))


def test_the_table_has_a_row_per_face_and_frame_with_times_in_seconds(
    analyzer: Analyzer, clip: Path, tmp_path: Path
) -> None:
    assert main(["video", str(clip), "--csv", str(tmp_path / "clip.csv")]) == 0

    with (tmp_path / "clip.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == HEADER
    assert [row[0] for row in rows] == [str(number) for number in range(FRAMES)]
    assert [float(row[1]) for row in rows] == pytest.approx(np.arange(FRAMES) / RATE, abs=0.002)
    assert {row[2] for row in rows} == {"1"}
    assert float(rows[-1][3]) - float(rows[0][3]) == pytest.approx(STEP * (FRAMES - 1), abs=12)
    for row in rows:
        scores = dict(zip(HEADER, row, strict=True))
        assert sum(float(scores[name]) for name in LABELS) == pytest.approx(1, abs=4e-4)
        assert float(scores["happiness"]) > 0.5
        assert (scores["sure"], scores["answer"]) == ("1", "happiness")


def test_the_copy_is_the_video_with_a_box_and_heat_on_the_face(
    analyzer: Analyzer, clip: Path, tmp_path: Path, frames: list[Pixels]
) -> None:
    count, seen = sightings(analyzer, clip, tmp_path / "boxes.mp4")
    sightings(analyzer, clip, tmp_path / "heat.mp4", heat=True)

    plain, boxes = read_video(clip), read_video(tmp_path / "boxes.mp4")
    heat = read_video(tmp_path / "heat.mp4")
    assert len(boxes) == len(heat) == count == FRAMES
    capture = cv2.VideoCapture(str(tmp_path / "boxes.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(RATE)
    x0, _, x1, y1 = seen[2].box.astype(int)
    edge = (slice(y1 - 3, y1 + 4), slice(x0 + 10, x1 - 10))
    mouth = (slice(y1 - 30, y1 - 10), slice(x0 + 15, x1 - 15))
    changed = [np.abs(c.astype(int) - plain[2]).mean(2) for c in (boxes[2], heat[2])]
    assert changed[0][edge].max(0).mean() > 40
    assert changed[0][mouth].mean() < 12 < changed[1][mouth].mean()
    assert changed[1][:20, -40:].mean() < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes.mp4", "clip.mp4", "heat.mp4"]


def test_a_phones_video_is_analysed_upright(
    analyzer: Analyzer, tmp_path: Path, frames: list[Pixels]
) -> None:
    # A phone held upright stores lying frames and a matrix that turns them by a right angle.
    lying = [np.ascontiguousarray(np.rot90(frame)) for frame in frames[:2]]
    write_video(tmp_path / "phone.mp4", lying)
    data = bytearray((tmp_path / "phone.mp4").read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", data, place)[0] == 1 << 16
    one = 1 << 16
    struct.pack_into(">9i", data, place, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "phone.mp4").write_bytes(data)

    count, seen = sightings(analyzer, tmp_path / "phone.mp4", tmp_path / "out.mp4")

    assert count == len(seen) == 2
    assert LABELS[seen[0].probabilities.argmax()] == "happiness"
    (expected,) = analyzer.analyze(frames[0])
    assert expected.box is not None
    assert np.abs(seen[0].box - expected.box).max() < 8
    assert read_video(tmp_path / "out.mp4")[0].shape[:2] == (HEIGHT, WIDTH)


def test_a_video_without_faces_has_a_table_without_rows(analyzer: Analyzer, tmp_path: Path) -> None:
    write_video(tmp_path / "wall.mp4", [np.full((90, 121, 3), 99, np.uint8)] * 3)

    targets = ["--out", str(tmp_path / "out.mp4"), "--csv", str(tmp_path / "wall.csv"), "--heat"]

    assert main(["video", str(tmp_path / "wall.mp4"), *targets]) == 0

    assert (tmp_path / "wall.csv").read_text("utf-8") == ",".join(HEADER) + "\n"
    assert len(read_video(tmp_path / "out.mp4")) == 3


def test_a_video_that_is_cut_off_gives_what_it_holds_and_says_so(
    analyzer: Analyzer, tmp_path: Path, frames: list[Pixels], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    for frame in frames:
        writer.write(frame)
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    count, _ = sightings(analyzer, path)

    assert 0 < count < FRAMES
    assert "the frames end after" in capsys.readouterr().err


def test_stopping_leaves_no_file(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, calls = Analyzer.analyze, []

    def stop_at_the_third(self: Analyzer, image: Pixels, **options: int) -> object:
        calls.append(image)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, image, **options)

    monkeypatch.setattr(Analyzer, "analyze", stop_at_the_third)
    targets = ["--csv", str(tmp_path / "x.csv"), "--out", str(tmp_path / "x.mp4")]

    assert main(["video", str(clip), *targets]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert "no file was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}/gone.mp4"], "is not a file"),
        (["{folder}"], "is not a file"),
        (["{clip}", "--out", "{folder}/out.avi"], "must end in .mp4"),
        (["{clip}", "--out", "{folder}/gone/out.mp4"], "does not exist"),
        (["{clip}", "--csv", "{folder}/gone/out.csv"], "does not exist"),
        (["{clip}", "--out", "{clip}"], "is the video itself"),
        (["{clip}", "--heat"], "--out"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    words: str,
    clip: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    code = main(["video", *(text.format(folder=tmp_path, clip=clip) for text in arguments)])

    errors = capfd.readouterr().err
    assert code == 2
    assert words in errors
    assert errors.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"hello"], ids=["empty", "text"])
def test_what_is_no_video_is_one_sentence_without_the_decoders_own(
    content: bytes, tmp_path: Path
) -> None:
    # FFmpeg takes its log level once in a process.
    (tmp_path / "clip.mp4").write_bytes(content)
    command = [sys.executable, "-m", "emotion", "video", str(tmp_path / "clip.mp4")]

    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr.startswith("clip.mp4 is not a video that can be read")
    assert run.stderr.count("\n") == 1


@pytest.mark.corpora
def test_a_gif_is_a_video(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (gif,) = (shared_data.parent / "media").glob("*.gif")

    assert main(["video", str(gif), "--csv", str(tmp_path / "gif.csv")]) == 0

    with (tmp_path / "gif.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = [float(row["time"]) for row in rows]
    assert len({row["frame"] for row in rows}) > 15
    assert times == sorted(times)
    assert 1.5 < times[-1] < 2.5
    assert "face 1" in capsys.readouterr().out
