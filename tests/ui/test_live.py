from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from emotion.analyzer import FRAME_SIDE, Analyzer
from emotion.errors import ImageError
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.tracker import TIME_CONSTANT
from emotion.ui.gate import BusyError, Gate
from emotion.ui.live import MAX_FACES, MAX_FRAME_BYTES, decode_frame, frame_analysis
from emotion.ui.strings import say
from emotion.ui.wire import data_url, read_data_url


@pytest.fixture(scope="module")
def analyze_frame(serving):
    return frame_analysis(serving, Gate(1))


def test_a_frame_gives_numbers_for_its_face(analyze_frame, astronaut):
    answer = analyze_frame({"jpeg": data_url(astronaut), "explain": -1})
    assert answer["count"] == 1
    face = answer["faces"][0]
    x0, y0, x1, y1 = face["box"]
    assert 0.3 < x0 < x1 < 0.6
    assert 0.05 < y0 < y1 < 0.4
    assert sum(face["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert face["explained"] == int(np.argmax(face["probabilities"]))
    assert max(face["heat"]["cells"]) == 255


@pytest.mark.parametrize("index", range(len(LABELS)))
def test_the_chosen_class_is_explained(analyze_frame, analyzer, astronaut, index):
    face = analyze_frame({"jpeg": data_url(astronaut), "explain": index})["faces"][0]
    assert face["explained"] == index
    assert len(face["heat"]["cells"]) == 64


def test_no_face_is_an_empty_list(analyze_frame):
    grey = np.full((240, 320, 3), 128, np.uint8)
    answer = analyze_frame({"jpeg": data_url(grey), "explain": -1})
    assert (answer["faces"], answer["count"]) == ([], 0)


def test_only_the_largest_faces_are_analysed_but_all_are_counted(analyze_frame, astronaut):
    face = astronaut[20:220, 120:320]
    crowd = np.tile(face, (2, 4, 1))
    answer = analyze_frame({"jpeg": data_url(crowd), "explain": -1})
    assert len(answer["faces"]) == MAX_FACES
    assert answer["count"] == 8


def test_a_second_frame_is_told_that_the_server_is_busy(serving, astronaut):
    gate = Gate(1)
    with gate.enter_at_once():
        answer = frame_analysis(serving, gate)({"jpeg": data_url(astronaut)})
    assert answer["busy"]
    assert 0 <= answer["wait"] < 1000


def test_a_visitors_face_keeps_its_id_and_its_numbers_are_smoothed(
    analyzer, analyze_frame, astronaut
):
    alone = analyze_frame({"jpeg": data_url(astronaut)})["faces"][0]
    frowning = analyze_frame({"jpeg": data_url(_mouth_covered(astronaut))})["faces"][0]
    visit = {"visitor": "one", "explain": 0}
    _show(analyze_frame, {**visit, "jpeg": data_url(astronaut)}, (9.9, 9.95))
    first = analyze_frame({**visit, "jpeg": data_url(astronaut), "time": 10.0})["faces"][0]
    second = analyze_frame(
        {**visit, "jpeg": data_url(_mouth_covered(astronaut)), "time": 10 + TIME_CONSTANT / 10}
    )["faces"][0]
    assert first["id"] == second["id"]
    assert first["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-3)
    happy, covered, smoothed = (f["probabilities"][0] for f in (alone, frowning, second))
    assert covered < smoothed < happy


def _show(analyze_frame, frame, times):
    """Send the frames before a face's third, which do not count it yet."""
    for time_s in times:
        assert analyze_frame({**frame, "time": time_s})["faces"] == []


def test_visitors_do_not_share_tracks(analyze_frame, astronaut):
    frame = {"jpeg": data_url(astronaut), "time": 0.0}
    for visitor in ("two", "three"):
        _show(analyze_frame, {**frame, "visitor": visitor}, (-0.2, -0.1))
        assert analyze_frame({**frame, "visitor": visitor})["faces"][0]["id"] == 1


def test_a_frame_older_than_the_last_answer_is_not_taken(analyze_frame, astronaut):
    frame = {"jpeg": data_url(astronaut), "visitor": "four"}
    _show(analyze_frame, frame, (1.8, 1.9))
    assert analyze_frame({**frame, "time": 2.0})["faces"]
    assert analyze_frame({**frame, "time": 1.0})["busy"]
    assert analyze_frame({**frame, "time": 2.0})["faces"]


def test_the_face_that_is_asked_for_is_explained(analyzer, analyze_frame, astronaut):
    frame = {"jpeg": data_url(astronaut), "visitor": "five"}
    sent = decode_image(read_data_url(frame["jpeg"], limit=MAX_FRAME_BYTES))
    (face,) = analyzer.analyze(sent, max_side=FRAME_SIDE, exact=False)
    _show(analyze_frame, frame, (0.0, 0.0))
    asked = analyze_frame({**frame, "cover": 1})["faces"][0]
    assert asked["why"] == str(analyzer.explain(face).finding())
    german = analyze_frame({**frame, "cover": 1, "explain": 4, "language": "de"})["faces"][0]
    assert german["why"] == say("cover_faint", "de", label=say("disgust", "de"))
    assert "why" not in analyze_frame({**frame, "cover": 0})["faces"][0]
    assert "why" not in analyze_frame({**frame, "cover": 2})["faces"][0]


def test_without_time_for_it_a_face_is_answered_and_not_explained(serving, astronaut):
    class OneTurn(Gate):
        turns = 0

        def enter_at_once(self, *arguments):
            self.turns += 1
            if self.turns > 1:
                raise BusyError
            return super().enter_at_once(*arguments)

    answer = frame_analysis(serving, OneTurn(1))({"jpeg": data_url(astronaut), "cover": 1})
    assert len(answer["faces"]) == 1
    assert "why" not in answer["faces"][0]


def test_below_the_threshold_the_answer_is_not_sure(astronaut):
    analyzer = Analyzer.from_weights("embedded")
    config = analyzer.network.config
    analyzer.network.config = replace(config, abstain_below=0.9999)
    face = frame_analysis(SimpleNamespace(analyzer=analyzer), Gate(1))(
        {"jpeg": data_url(astronaut)}
    )["faces"][0]
    assert not face["sure"]
    assert sum(face["probabilities"]) == pytest.approx(1, abs=1e-4)


def _mouth_covered(astronaut: np.ndarray) -> np.ndarray:
    covered = astronaut.copy()
    covered[135:170, 200:255] = 128
    return covered


BLACK = data_url(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        "jpeg",
        [1.0] * 100_000,
        {},
        {"jpeg": None},
        {"jpeg": 5},
        {"jpeg": ["data:"]},
        {"jpeg": "data:image/jpeg;base64,AAAA"},
        {"jpeg": "data:image/jpeg;base64,%%%"},
        {"jpeg": "data:image/jpeg;base64," + "A" * (2 * MAX_FRAME_BYTES)},
        {"jpeg": data_url(np.zeros((8, 8, 3), np.uint8), "image/png")},
        {"jpeg": data_url(np.zeros((8, 1600, 3), np.uint8))},
        {"jpeg": BLACK, "explain": 6},
        {"jpeg": BLACK, "explain": -2},
        {"jpeg": BLACK, "explain": True},
        {"jpeg": BLACK, "explain": float("nan")},
        {"jpeg": BLACK, "explain": "happiness"},
        {"jpeg": BLACK, "visitor": 5},
        {"jpeg": BLACK, "visitor": "x" * 65},
        {"jpeg": BLACK, "time": "now"},
        {"jpeg": BLACK, "time": True},
        {"jpeg": BLACK, "time": float("nan")},
        {"jpeg": BLACK, "time": float("inf")},
        {"jpeg": BLACK, "time": 10**400},
        {"jpeg": BLACK, "cover": "mouth"},
        {"jpeg": BLACK, "cover": True},
    ],
)
def test_a_payload_that_is_no_frame_is_refused_with_a_sentence(analyze_frame, payload, caplog):
    answer = analyze_frame(payload)
    assert answer["error"] == "bad_frame"
    assert answer["detail"]
    assert not caplog.records


def jpeg(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there ``count`` times more."""
    data = jpeg(Image.new("RGB", (64, 64), "grey"), progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100}])
def test_a_frame_of_any_browser_is_decoded(options):
    picture = Image.radial_gradient("L").convert("RGB")
    assert decode_frame(jpeg(picture, **options)).shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (jpeg(Image.new("L", (1281, 2))), "1280 px"),
        (jpeg(Image.new("L", (2, 65000))), "1280 px"),
        (many_scans(100), "scans"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop\n", "JPEG"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "damaged"),
        (b"", "JPEG"),
    ],
)
def test_what_would_cost_more_than_a_frame_is_refused_before_it_is_decoded(
    frame, words, monkeypatch
):
    monkeypatch.setattr("emotion.ui.live.decode_image", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match=words):
        decode_frame(frame)


def test_what_is_no_frame_is_refused_without_a_turn(analyzer):
    gate = Gate(1)
    with gate.enter():
        answer = frame_analysis(analyzer, gate)({"jpeg": "data:image/jpeg;base64,", "visitor": "x"})
    assert answer["error"] == "bad_frame"
