"""Clips of visitors: what is taken, what comes back, and that nothing of them stays."""

from __future__ import annotations

import base64
import csv
import struct
import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import httpx
import numpy as np
import pytest
from skimage import data

from emotion.labels import LABELS
from emotion.ui import clips as clips_module
from emotion.ui.clients import Client
from emotion.ui.clip_turns import YIELDS, InTurn
from emotion.ui.clip_work import Work
from emotion.ui.clips import ALTOGETHER, COPY, MAX_CLIP, PER_ADDRESS, ClipError, Clips
from emotion.ui.gate import BusyError, Gate

ANN = Client("10.0.0.1", "ann")
TIMES = [0, 40, 90, 120, 180, 200, 260, 300]  # ms; the rate varies


def write_clip(path: Path, *, turned: bool = False) -> Path:
    """Write a smiling portrait; a phone held upright stores lying frames, and how to turn them."""
    picture = np.ascontiguousarray(data.astronaut()[20:340, 60:380])
    picture = np.ascontiguousarray(np.rot90(picture)) if turned else picture
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 320
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for moment in TIMES:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = moment, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if turned:
        content, one = bytearray(path.read_bytes()), 1 << 16
        matrix = content.index(b"tkhd") + 44
        struct.pack_into(">9i", content, matrix, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
        path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "smile.mp4")


@pytest.fixture
def clips(serving, tmp_path):
    kept = Clips(serving, Gate(1), tmp_path)
    yield kept
    kept.close()


def finished(clips: Clips, name: str) -> dict:
    deadline = time.monotonic() + 60
    while (report := clips.report(name))["state"] in ("sending", "waiting", "working"):
        assert time.monotonic() < deadline, report["state"]
        time.sleep(0.02)
    return report


def send(clips: Clips, content: bytes, client: Client = ANN, piece: int = 4096) -> str:
    name = clips.begin(client, len(content))
    for at in range(0, len(content), piece):
        assert clips.add(name, at, content[at : at + piece]) == min(at + piece, len(content))
    return name


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while any(folder.rglob("*.mp4")) or any(folder.rglob("upload")):
        assert time.monotonic() < deadline, list(folder.rglob("*"))
        time.sleep(0.02)


def test_every_frame_gets_its_time_its_faces_and_a_copy(clips, clip, analyzer, tmp_path):
    name = send(clips, clip.read_bytes())
    report = finished(clips, name)
    assert report["state"] == "done"
    assert report["times"] == [moment / 1000 for moment in TIMES]
    assert (report["width"], report["height"]) == (320, 320)
    assert [row[0] for row in report["rows"]] == list(range(len(TIMES)))
    _, face, box, scores, sure, _, _, answer, place, heat = report["rows"][-1]
    assert (face, sure, answer) == (1, 1, "happiness")
    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert scores.index(max(scores)) == LABELS.index("happiness")
    assert 100 < box[0] < box[2] < 240
    left, top = 320 * place[4], 320 * place[5]
    assert box[0] - 40 < left < box[0] + 20  # the crop, which is a little larger than the box
    assert box[1] - 40 < top < box[1] + 40
    cells = base64.b64decode(heat)
    assert len(cells) == 64
    assert max(cells) > 100
    with av.open(str(clips.copy(name))) as copy:
        assert [round(1000 * frame.time) for frame in copy.decode(video=0)] == TIMES
    assert not any(tmp_path.rglob("upload"))  # the clip itself is gone as soon as it was looked at
    clips.end(name)
    wait_until_gone(tmp_path)


def test_the_numbers_are_those_of_the_command_line(clips, clip, analyzer, tmp_path):
    from emotion.shell.video_table import Table
    from emotion.video import analyze_video

    table = Table(tmp_path / "own.csv")
    analyze_video(analyzer, clip, None, [lambda one: table.add("", one)])
    table.file.finish()
    with (tmp_path / "own.csv").open() as file:
        own = list(csv.DictReader(file))
    rows = finished(clips, send(clips, clip.read_bytes()))["rows"]
    assert len(rows) == len(own)
    for row, theirs in zip(rows, own, strict=True):
        assert row[0] == int(theirs["frame"])
        assert row[3] == pytest.approx([float(theirs[name]) for name in LABELS], abs=1e-4)
        assert row[7] == theirs["answer"]


def test_a_phones_clip_is_looked_at_upright(clips, tmp_path):
    lying = write_clip(tmp_path / "phone.mp4", turned=True)
    report = finished(clips, send(clips, lying.read_bytes()))
    _, _, (x0, y0, x1, y1), _, _, _, _, answer, *_ = report["rows"][-1]
    assert answer == "happiness"
    assert 100 < x0 < x1 < 240
    assert 20 < y0 < y1 < 180


def test_only_what_is_new_is_told(clips, clip):
    name = send(clips, clip.read_bytes())
    whole = finished(clips, name)
    rest = clips.report(name, (6, len(whole["rows"]) - 1))
    assert rest["times"] == whole["times"][6:]
    assert rest["rows"] == whole["rows"][-1:]


@pytest.mark.parametrize(
    "content",
    [
        b"this is no video" * 100,
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\0\0\0\x18ftypmp42" + b"\0" * 400,
    ],
)
def test_what_is_no_video_is_one_sentence(clips, content):
    report = finished(clips, send(clips, content))
    assert (report["state"], report["error"]) == ("failed", "video_unreadable")
    assert report["detail"].endswith(".")
    assert "passwd" not in report["detail"]
    assert "upload" not in report["detail"]


def test_a_clip_that_is_too_long_is_refused_before_it_is_analysed(clips, tmp_path):
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(130):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    report = finished(clips, send(clips, path.read_bytes(), piece=1 << 20))
    assert "longer than 2 minutes" in report["detail"]
    assert report["times"] == []


def test_a_visitor_has_one_clip_and_an_address_a_few(clips):
    clips.begin(ANN, 10)
    with pytest.raises(ClipError, match="One video at a time"):
        clips.begin(ANN, 10)
    for number in range(PER_ADDRESS - 1):
        clips.begin(Client(ANN.address, f"b{number}"), 10)
    with pytest.raises(ClipError, match="try again"):
        clips.begin(Client(ANN.address, "another"), 10)
    for number in range(ALTOGETHER - PER_ADDRESS):
        clips.begin(Client(f"10.0.1.{number}", "c"), 10)
    with pytest.raises(ClipError, match="try again"):
        clips.begin(Client("10.0.2.1", "d"), 10)


def test_finished_clips_keep_nobody_out_and_are_bounded(clips, monkeypatch):
    monkeypatch.setattr(clips_module, "MOST_DONE", 3)
    names = []
    for number in range(6):
        names.append(send(clips, b"no video" * 20, Client(ANN.address, f"v{number}")))
        finished(clips, names[-1])
    clips.begin(ANN, 10)
    assert len(clips) == 3  # two that are done, and this one
    with pytest.raises(ClipError, match="not here any more"):
        clips.report(names[0])
    assert clips.report(names[-1])["state"] == "failed"


def test_an_upload_that_never_ends_is_forgotten_however_often_somebody_asks(clips, monkeypatch):
    monkeypatch.setattr(clips_module, "LONGEST_UPLOAD", 0.2)
    monkeypatch.setattr(clips_module, "LIFETIME", 1.0)
    name = clips.begin(ANN, 10)

    def ask_for_ten_seconds() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            clips.report(name)
            time.sleep(0.02)

    with pytest.raises(ClipError, match="not here any more"):
        ask_for_ten_seconds()


@pytest.mark.parametrize("size", [0, -1, MAX_CLIP + 1])
def test_a_clip_has_at_most_a_hundred_megabytes(clips, size):
    with pytest.raises(ClipError) as caught:
        clips.begin(ANN, size)
    assert caught.value.status == 413


def test_a_piece_that_does_not_follow_is_not_taken(clips):
    name = clips.begin(ANN, 100)
    assert clips.add(name, 0, b"x" * 40) == 40
    assert clips.add(name, 0, b"x" * 40) == 40  # sent twice, since its answer was lost
    assert clips.add(name, 60, b"x" * 40) == 40
    with pytest.raises(ClipError, match="larger than was said"):
        clips.add(name, 40, b"x" * 61)


def test_a_closed_tab_leaves_nothing(serving, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(clips_module, "LIFETIME", 0.4)
    clips = Clips(serving, Gate(1), tmp_path)
    send(clips, clip.read_bytes())
    clips.begin(Client("10.0.0.2", "bob"), 10)  # half an upload
    wait_until_gone(tmp_path)
    assert len(clips) == 0
    assert list((tmp_path / "clips").iterdir()) == []


def test_a_clip_that_is_stopped_ends_its_process(clips, clip, tmp_path, monkeypatch):
    """The gate never opens, so the work is under way for as long as nobody stops it."""
    monkeypatch.setattr(clips._gate, "enter_at_once", always_busy)
    name = send(clips, clip.read_bytes())
    work = clips._clips[name].work
    assert isinstance(work, Work)
    deadline = time.monotonic() + 20
    while clips.report(name)["state"] != "working":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process = work._process
    clips.end(name)
    assert process.wait(10) != 0
    wait_until_gone(tmp_path)


@contextmanager
def always_busy(*_args):
    raise BusyError(wait=0.01)
    yield


class Rests(threading.Event):
    """A clip that nobody stops; notes how long it rests, in place of resting."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return self.is_set()


class Refusing:
    """A gate where others are ahead of the first so many frames."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked: list[tuple[Client, float]] = []

    @contextmanager
    def enter_at_once(self, client, patience, _first_patience):
        self.asked.append((client, patience))
        if len(self.asked) <= self.times:
            raise BusyError(wait=0.001)
        yield SimpleNamespace(decoded=False)


def analyze_one(gate: Refusing, stopped: threading.Event, seconds: float = 0.1) -> None:
    """Analyze a frame that takes so long."""
    analyzer = SimpleNamespace(analyze=lambda *_, **__: time.sleep(seconds))
    turns = InTurn(analyzer, gate, ANN, stopped)
    turns.analyze(
        np.zeros((8, 8, 3), np.uint8), max_side=640, exact=False, min_score=0.5, known=None
    )


def test_each_frame_passes_the_gate_and_others_come_first():
    """Like a live frame, it is refused where others are ahead, and comes again."""
    gate, rests = Refusing(2), Rests()
    analyze_one(gate, rests)
    assert [client for client, _ in gate.asked] == [ANN] * 3
    assert all(patience <= 0.05 for _, patience in gate.asked)
    # Others were there, so it leaves the gate to them for several times as long as it took.
    assert rests.seconds[-1] >= YIELDS * 0.1


def test_a_clip_does_not_rest_where_nobody_else_is():
    rests = Rests()
    analyze_one(Refusing(0), rests)
    assert rests.seconds == []


def test_clips_rest_together_where_others_are():
    """Two clips get no more of the network than one."""
    resting, rested = threading.Event(), threading.Event()

    class LongRest(Rests):
        def wait(self, timeout: float | None = None) -> bool:
            if (timeout or 0.0) > 0.5:
                resting.set()
                assert rested.wait(30)
            return super().wait(timeout)

    gate, rests = Refusing(0), Rests()
    threads = [
        threading.Thread(target=analyze_one, args=(Refusing(1), LongRest())),
        threading.Thread(target=analyze_one, args=(gate, rests)),
    ]
    threads[0].start()
    assert resting.wait(30)
    threads[1].start()
    deadline = time.monotonic() + 30
    while len(rests.seconds) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gate.asked == []
    rested.set()
    for thread in threads:
        thread.join(30)
    assert len(gate.asked) == 1


def test_the_routes_take_a_clip_in_pieces_and_hand_the_copy_out(served, clip):
    content = clip.read_bytes()
    with httpx.Client(base_url=served.url, timeout=60) as client:
        begun = client.post("video", json={"size": len(content), "visitor": "ann"}).json()
        place = f"video/{begun['clip']}"
        half = len(content) // 2
        assert client.post(f"{place}?at=0", content=content[:half]).json() == {"received": half}
        assert client.get(place).json() == {"state": "sending", "received": half}
        client.post(f"{place}?at={half}", content=content[half:])
        deadline = time.monotonic() + 60
        while (report := client.get(f"{place}?after=0-0").json())["state"] != "done":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(report["rows"]) == len(TIMES)
        part = client.get(f"{place}/{COPY}", headers={"range": "bytes=0-99"})
        assert (part.status_code, len(part.content)) == (206, 100)  # players ask for parts
        assert client.post(f"{place}/end").json() == {}
        gone = client.get(place)
        assert (gone.status_code, gone.json()["key"]) == (404, "video_gone")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"size": true, "visitor": "a"}',
        b'{"size": 1, "visitor": "a/b"}',
        b"\xff",
    ],
)
def test_a_beginning_that_is_not_understood_is_one_sentence(served, body):
    answer = httpx.post(f"{served.url}video", content=body)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("query", ["after=x", "after=1", "after=-1-2", "after=1-9999999999"])
def test_a_question_that_is_not_understood_is_one_sentence(served, query):
    answer = httpx.get(f"{served.url}video/x?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")


def test_another_site_sends_no_clip(served):
    headers = {"sec-fetch-site": "cross-site"}
    answer = httpx.post(f"{served.url}video", json={"size": 1, "visitor": "a"}, headers=headers)
    assert answer.status_code == 403
