from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from emotion.labels import LABELS
from emotion.ui.covering import why
from emotion.ui.decoder import Decoder
from emotion.ui.examples import examples
from emotion.ui.gate import Gate
from emotion.ui.photo import MAX_CARDS, MAX_PHOTO_BYTES, photo_analysis
from emotion.ui.strings import say


def as_url(content: bytes) -> str:
    return f"data:;base64,{base64.b64encode(content).decode()}"


def saved(picture: Image.Image, format: str, **options) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return as_url(buffer.getvalue())


@pytest.fixture(scope="module")
def analyze_photo(serving, decoder: Decoder):
    return photo_analysis(serving, Gate(1), decoder)


def test_a_face_gets_everything_that_its_card_shows(analyze_photo, astronaut):
    answer = analyze_photo({"image": saved(Image.fromarray(astronaut), "PNG")})
    assert (answer["count"], answer["width"], answer["height"]) == (1, 512, 512)
    face = answer["faces"][0]
    assert sum(face["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert len(face["heats"]) == len(face["sentences"]) == len(LABELS)
    assert face["crop"].startswith("data:image/png")
    assert answer["photo"].startswith("data:image/jpeg")


@pytest.mark.parametrize("language", ["en", "de"])
def test_sentences_are_in_the_visitors_language(analyze_photo, analyzer, astronaut, language):
    answer = analyze_photo({"example": "astronaut", "language": language})
    test = analyzer.explain(analyzer.analyze(astronaut)[0])
    said = [why(test, index, language) for index in range(len(LABELS))]
    assert answer["faces"][0]["sentences"] == said
    assert said[4] == say("cover_faint", language, label=say("disgust", language))


def test_all_examples_are_there_and_show_a_face(analyze_photo):
    names = list(examples())
    assert names[:2] == ["astronaut", "hopper"]
    assert [name.removeprefix("drawn-") for name in names[-6:]] == list(LABELS)
    for name in names:
        assert analyze_photo({"example": name})["count"] == 1


def picture(astronaut: np.ndarray, kind: str) -> str:
    colour = Image.fromarray(astronaut)
    match kind:
        case "gif":
            return saved(colour.convert("P"), "GIF")
        case "cmyk":
            return saved(colour.convert("CMYK"), "JPEG")
        case "16-bit":
            return saved(
                Image.fromarray(np.asarray(colour.convert("L")).astype("uint16") * 257), "PNG"
            )
        case "transparent":
            return saved(colour.convert("RGBA"), "PNG")
        case "sideways":
            exif = Image.Exif()
            exif[0x0112] = 6
            return saved(colour.rotate(90), "JPEG", exif=exif)
        case "large":
            return saved(colour.resize((4000, 4000)), "JPEG", quality=70)
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["gif", "cmyk", "16-bit", "transparent", "sideways", "large"])
def test_any_kind_of_picture_shows_its_face_upright(analyze_photo, astronaut, kind):
    answer = analyze_photo({"image": picture(astronaut, kind)})
    x0, y0, x1, y1 = answer["faces"][0]["box"]
    assert 0.3 < x0 < x1 < 0.6
    assert 0.05 < y0 < y1 < 0.4


def test_a_picture_without_a_face_is_shown_without_cards(analyze_photo):
    answer = analyze_photo({"image": saved(Image.new("RGB", (300, 200), "teal"), "PNG")})
    assert (answer["count"], answer["faces"], answer["width"]) == (0, [], 300)


def test_the_whole_picture_can_be_taken_as_a_face(analyze_photo, astronaut):
    close = Image.fromarray(astronaut[60:180, 170:290])
    face = analyze_photo({"image": saved(close, "PNG"), "detect": False})["faces"][0]
    assert face["box"] is None
    assert set(face["sentences"]) == {say("cover_unaligned")}
    assert face["parts"] is None


def test_a_crowd_is_counted_and_its_largest_faces_get_cards(analyze_photo, astronaut):
    crowd = np.tile(astronaut[20:210, 130:320], (4, 6, 1))
    answer = analyze_photo({"image": saved(Image.fromarray(crowd), "PNG")})
    assert answer["count"] == 24
    assert len(answer["faces"]) == MAX_CARDS


def test_one_pixel_is_no_face(analyze_photo):
    answer = analyze_photo({"image": saved(Image.new("RGB", (1, 1)), "PNG")})
    assert answer["faces"] == []


def truncated(astronaut: np.ndarray) -> str:
    return as_url(
        base64.b64decode(saved(Image.fromarray(astronaut), "JPEG").partition(",")[2])[:4000]
    )


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"image": 3},
        {"image": "/etc/passwd"},
        {"image": as_url(b"")},
        {"image": as_url(b"not a picture")},
        {"image": as_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>")},
        {"image": as_url(b"\0" * (MAX_PHOTO_BYTES + 1))},
        {"image": saved(Image.new("1", (13_000, 13_000)), "PNG")},
        {"example": "../../etc/passwd"},
        {"example": None},
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(analyze_photo, payload, caplog):
    answer = analyze_photo(payload)
    assert answer["error"] == "photo_unreadable"
    assert answer["detail"].endswith(".")
    assert not caplog.records


def test_half_a_file_is_refused_with_a_sentence(analyze_photo, astronaut, caplog):
    answer = analyze_photo({"image": truncated(astronaut)})
    assert answer["error"] == "photo_unreadable"
    assert "damaged" in answer["detail"]
    assert not caplog.records
