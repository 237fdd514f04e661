from __future__ import annotations

import io
from collections.abc import Callable
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
from emotion.ui.frames import MAX_FACES, MAX_FRAME_BYTES, decode_frame, frame_answers
from emotion.ui.gate import BusyError, Gate
from emotion.ui.strings import say
from emotion.ui.wire import JSON, encoded


def asking(serving, gate: Gate) -> Callable[..., JSON]:
    """A function that asks about a picture, or about bytes, as the page does."""
    answers = frame_answers(serving, gate)

    def ask(picture: np.ndarray | bytes, **said: object) -> JSON:
        jpeg = picture if isinstance(picture, bytes) else encoded(picture, "image/jpeg")
        return answers(jpeg, {name: str(value) for name, value in said.items()}, "")

    return ask


@pytest.fixture(scope="module")
def ask(serving):
    return asking(serving, Gate(1))


def test_a_frame_gives_numbers_for_its_face(ask, astronaut):
    answer = ask(astronaut, explain=-1)
    assert answer["count"] == 1
    face = answer["faces"][0]
    x0, y0, x1, y1 = face["box"]
    assert 0.3 < x0 < x1 < 0.6
    assert 0.05 < y0 < y1 < 0.4
    assert sum(face["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert face["explained"] == int(np.argmax(face["probabilities"]))
    assert max(face["heat"]["cells"]) == 255


@pytest.mark.parametrize("index", range(len(LABELS)))
def test_the_chosen_class_is_explained(ask, analyzer, astronaut, index):
    face = ask(astronaut, explain=index)["faces"][0]
    assert face["explained"] == index
    assert len(face["heat"]["cells"]) == 64


def test_no_face_is_an_empty_list(ask):
    grey = np.full((240, 320, 3), 128, np.uint8)
    answer = ask(grey, explain=-1)
    assert (answer["faces"], answer["count"]) == ([], 0)


def test_only_the_largest_faces_are_analysed_but_all_are_counted(ask, astronaut):
    face = astronaut[20:220, 120:320]
    crowd = np.tile(face, (2, 4, 1))
    answer = ask(crowd, explain=-1)
    assert len(answer["faces"]) == MAX_FACES
    assert answer["count"] == 8


def test_a_second_frame_is_told_that_the_server_is_busy(serving, astronaut):
    gate = Gate(1)
    with gate.enter_at_once():
        answer = asking(serving, gate)(astronaut)
    assert answer["busy"]
    assert 0 <= answer["wait"] < 1000


def test_a_visitors_face_keeps_its_id_and_its_numbers_are_smoothed(analyzer, ask, astronaut):
    alone = ask(astronaut)["faces"][0]
    frowning = ask(_mouth_covered(astronaut))["faces"][0]
    visit = {"visitor": "one", "explain": 0}
    _show(ask, astronaut, (9.9, 9.95), **visit)
    first = ask(astronaut, **visit, time=10.0)["faces"][0]
    later = 10 + TIME_CONSTANT / 10
    second = ask(_mouth_covered(astronaut), **visit, time=later)["faces"][0]
    assert first["id"] == second["id"]
    assert first["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-3)
    happy, covered, smoothed = (f["probabilities"][0] for f in (alone, frowning, second))
    assert covered < smoothed < happy


def _show(ask, picture, times, **said):
    """Send the frames before a face's third, which do not count it yet."""
    for time_s in times:
        assert ask(picture, **said, time=time_s)["faces"] == []


def test_visitors_do_not_share_tracks(ask, astronaut):
    for visitor in ("two", "three"):
        _show(ask, astronaut, (-0.2, -0.1), visitor=visitor)
        assert ask(astronaut, visitor=visitor, time=0.0)["faces"][0]["id"] == 1


def test_a_frame_older_than_the_last_answer_is_not_taken(ask, astronaut):
    _show(ask, astronaut, (1.8, 1.9), visitor="four")
    assert ask(astronaut, visitor="four", time=2.0)["faces"]
    assert ask(astronaut, visitor="four", time=1.0)["busy"]
    assert ask(astronaut, visitor="four", time=2.0)["faces"]


def test_the_face_that_is_asked_for_is_explained(analyzer, ask, astronaut):
    sent = decode_image(encoded(astronaut, "image/jpeg"))
    (face,) = analyzer.analyze(sent, max_side=FRAME_SIDE, exact=False)
    _show(ask, astronaut, (0.0, 0.0), visitor="five")
    asked = ask(astronaut, visitor="five", cover=1)["faces"][0]
    assert asked["why"] == str(analyzer.explain(face).finding())
    said = {"visitor": "five", "cover": 1, "explain": 4, "language": "de"}
    german = ask(astronaut, **said)["faces"][0]
    assert german["why"] == say("cover_faint", "de", label=say("disgust", "de"))
    assert "why" not in ask(astronaut, visitor="five", cover=0)["faces"][0]
    assert "why" not in ask(astronaut, visitor="five", cover=2)["faces"][0]


def test_without_time_for_it_a_face_is_answered_and_not_explained(serving, astronaut):
    class OneTurn(Gate):
        turns = 0

        def enter_at_once(self, *arguments):
            self.turns += 1
            if self.turns > 1:
                raise BusyError
            return super().enter_at_once(*arguments)

    answer = asking(serving, OneTurn(1))(astronaut, cover=1)
    assert len(answer["faces"]) == 1
    assert "why" not in answer["faces"][0]


def test_below_the_threshold_the_answer_is_not_sure(astronaut):
    analyzer = Analyzer.from_weights("embedded")
    config = analyzer.network.config
    analyzer.network.config = replace(config, abstain_below=0.9999)
    face = asking(SimpleNamespace(analyzer=analyzer), Gate(1))(astronaut)["faces"][0]
    assert not face["sure"]
    assert sum(face["probabilities"]) == pytest.approx(1, abs=1e-4)


def _mouth_covered(astronaut: np.ndarray) -> np.ndarray:
    covered = astronaut.copy()
    covered[135:170, 200:255] = 128
    return covered


BLACK = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (b"", {}),
        (b"jpeg", {}),
        (b"\0" * 100_000, {}),
        (encoded(BLACK, "image/png"), {}),
        (encoded(BLACK, "image/jpeg") + b"\0" * MAX_FRAME_BYTES, {}),
        (np.zeros((8, 1600, 3), np.uint8), {}),
        (BLACK, {"explain": 6}),
        (BLACK, {"explain": -2}),
        (BLACK, {"explain": True}),
        (BLACK, {"explain": 0.5}),
        (BLACK, {"explain": "happiness"}),
        (BLACK, {"explain": "9" * 5000}),
        (BLACK, {"visitor": "x" * 65}),
        (BLACK, {"time": "now"}),
        (BLACK, {"time": "nan"}),
        (BLACK, {"time": "inf"}),
        (BLACK, {"time": 10**400}),
        (BLACK, {"cover": "mouth"}),
        (BLACK, {"cover": ""}),
    ],
)
def test_what_is_no_frame_is_refused_with_a_sentence(ask, picture, said, caplog):
    answer = ask(picture, **said)
    assert answer["error"] == "bad_frame"
    assert answer["detail"].endswith(".")
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
    monkeypatch.setattr("emotion.ui.frames.decode_image", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match=words):
        decode_frame(frame)


def test_what_is_no_frame_is_refused_without_a_turn(analyzer):
    gate = Gate(1)
    with gate.enter():
        answer = asking(analyzer, gate)(b"", visitor="x")
    assert answer["error"] == "bad_frame"
