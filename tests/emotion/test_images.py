from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from emotion.errors import ImageError
from emotion.images import MAX_PIXELS, decode_image, to_grey


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def picture() -> Image.Image:
    """A ramp whose four corners differ, so that any turn or swap of channels shows."""
    y, x = np.mgrid[0:40, 0:60]
    return Image.fromarray(np.stack([x * 4, y * 6, 255 - x * 2], 2).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "BMP", "TIFF", "GIF"])
def test_every_common_format_becomes_rgb(picture: Image.Image, kind: str) -> None:
    decoded = decode_image(encode(picture, kind))

    assert decoded.dtype == np.uint8
    assert decoded.shape == (40, 60, 3)
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - np.asarray(picture)).mean() < 12


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_pixel_mode_becomes_rgb(picture: Image.Image, mode: str) -> None:
    if mode in ("I;16", "I"):
        wide = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        source = Image.fromarray(wide if mode == "I;16" else wide.astype(np.int32))
    elif mode == "F":
        source = Image.fromarray(np.asarray(picture.convert("L"), np.float32) / 255)
    else:
        source = picture.convert(mode)

    decoded = decode_image(source)

    assert decoded.shape == (40, 60, 3)
    dithered = picture.convert("1") if mode == "1" else picture
    expected = to_grey(np.asarray(dithered.convert("RGB"))).astype(int)
    tolerance = 12 if mode == "P" else 3
    assert np.abs(to_grey(decoded).astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(picture: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture.transpose(turns[orientation]) if orientation > 1 else picture

    decoded = decode_image(encode(stored, "PNG", exif=exif))

    np.testing.assert_array_equal(decoded, np.asarray(picture))


def test_transparency_lies_over_white() -> None:
    source = np.zeros((4, 4, 4), np.uint8)
    source[:2, :, 3] = 255

    for decoded in (decode_image(source), decode_image(encode(Image.fromarray(source), "PNG"))):
        assert (decoded[:2] == 0).all()
        assert (decoded[2:] == 255).all()


def test_a_transparent_palette_lies_over_white() -> None:
    source = Image.new("P", (4, 4), 0)
    source.putpalette([0, 0, 0, 9, 9, 9])

    assert (decode_image(encode(source, "PNG", transparency=0)) == 255).all()


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]

    decoded = decode_image(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    np.testing.assert_array_equal(decoded, np.full((8, 8, 3), (255, 0, 0)))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WebP"])
def test_no_frame_but_the_first_is_sought(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow's checks of sizes and modes had holes where another frame is sought.
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    for plugin in {Image.Image, *ImageFile.ImageFile.__subclasses__()}:
        monkeypatch.setattr(plugin, "seek", lambda *_: pytest.fail("a frame was sought"))

    assert abs(int(decode_image(data)[0, 0, 0]) - 255) < 5


@pytest.mark.parametrize(
    "array",
    [
        np.ones((5, 7), np.bool_),
        np.full((5, 7), 255, np.uint8),
        np.full((5, 7, 1), 255, np.uint8),
        np.full((5, 7, 4), 255, np.uint8),
        np.full((5, 7), 65535, np.uint16),
        np.ones((5, 7, 3), np.float32),
    ],
    ids=["bool", "grey", "grey plane", "rgba", "uint16", "float"],
)
def test_arrays_of_every_kind_become_rgb(array: npt.NDArray[np.generic]) -> None:
    decoded = decode_image(array)

    np.testing.assert_array_equal(decoded, np.full((5, 7, 3), 255, np.uint8))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5, np.uint8),
        np.zeros((5, 5, 2), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.full((5, 5), np.nan),
        np.full((5, 5), 255.0),
        np.zeros((5, 5), np.complex64),
    ],
    ids=["flat", "two channels", "empty", "nan", "float out of range", "complex"],
)
def test_arrays_that_are_no_pictures_are_refused(array: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ImageError):
        decode_image(array)


def test_a_large_photo_keeps_its_pixels_unless_a_longest_side_is_asked_for() -> None:
    photo = Image.new("RGB", (4000, 3000), (10, 200, 30))

    for source in (encode(photo, "JPEG"), np.asarray(photo)):
        assert decode_image(source).shape == (3000, 4000, 3)
        assert decode_image(source, max_side=2048).shape == (1536, 2048, 3)


def test_without_a_limit_memory_is_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = encode(Image.new("RGB", (1000, 1000)), "PNG")
    assert decode_image(photo).shape == (1000, 1000, 3)

    monkeypatch.setattr("emotion.images.available_memory", lambda: 10_000_000)

    with pytest.raises(ImageError, match=r"\(1000x1000\) takes about 0.0 GB"):
        decode_image(photo)
    assert decode_image(photo, max_pixels=MAX_PIXELS).shape == (1000, 1000, 3)


def test_more_pixels_than_pillows_own_limit_are_read_and_that_limit_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)

    assert decode_image(encode(Image.new("L", (300, 200)), "PNG")).shape == (200, 300, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


def one_bit_png(width: int, height: int) -> bytes:
    """A valid PNG header of any size, with too little data behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(13000, 13000), (9400, 9400), (60000, 60000), (1, 100_000_000)])
def test_a_decompression_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="megapixels"):
        decode_image(one_bit_png(*size), max_pixels=MAX_PIXELS)


def test_a_one_pixel_image_is_a_picture() -> None:
    assert decode_image(encode(Image.new("RGB", (1, 1), "red"), "PNG")).tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(
    astronaut: npt.NDArray[np.uint8], kind: str, share: float
) -> None:
    data = encode(Image.fromarray(astronaut), kind)

    with pytest.raises(ImageError):
        decode_image(data[: int(len(data) * share)])


def test_a_missing_file_a_folder_and_a_text_are_named_in_the_sentence(tmp_path: Path) -> None:
    text = tmp_path / "holiday.jpg"
    text.write_text("not a picture")

    for path, reason in ((tmp_path / "gone.png", "exist"), (tmp_path, "folder"), (text, "picture")):
        with pytest.raises(ImageError, match=reason) as caught:
            decode_image(path)
        assert path.name in str(caught.value)


@given(st.binary(max_size=400))
def test_random_bytes_give_a_picture_or_an_image_error(data: bytes) -> None:
    with contextlib.suppress(ImageError):
        assert decode_image(data).dtype == np.uint8


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]))
def test_a_damaged_byte_gives_a_picture_or_an_image_error(
    place: int, value: int, kind: str
) -> None:
    data = bytearray(encode(Image.radial_gradient("L").convert("RGB").resize((32, 32)), kind))
    data[place % len(data)] = value
    with contextlib.suppress(ImageError):
        assert decode_image(bytes(data)).dtype == np.uint8


def test_grey_follows_bt601() -> None:
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)

    assert to_grey(primaries).tolist() == [[76, 150, 29, 255]]
