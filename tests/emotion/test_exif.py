from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps, TiffImagePlugin

from emotion.errors import ImageError
from emotion.exif import bare_jpeg, check_tiff, orientation_of
from emotion.images import FORMATS, decode_image

PICTURE = Image.fromarray(np.mgrid[0:40, 0:60][1].astype(np.uint8) * 4).convert("RGB")


def encoded(kind: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a maker", orientation
    return exif


def greedy_directory(entries: int, each: int) -> bytes:
    """A TIFF whose entries all point at the same ``each`` bytes."""
    rows = b"".join(struct.pack("<HHLL", 0x1000 + index, 1, each, 8) for index in range(entries))
    return b"II\x2a\0" + struct.pack("<L", 8) + struct.pack("<H", entries) + rows + b"\0" * each


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    jpeg = encoded("JPEG")
    extra = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    )
    return jpeg[:2] + extra + jpeg[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_is_applied_as_pillow_does(kind, orientation):
    data = encoded(kind, exif=exif_of(orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.array_equal(decode_image(data), expected)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_both_byte_orders_are_read(order):
    mark = "<" if order == "II" else ">"
    block = order.encode() + struct.pack(f"{mark}HLHHHLHH", 42, 8, 1, 0x0112, 3, 1, 6, 0)
    assert orientation_of(b"Exif\0\0" + block) == 6


@pytest.mark.parametrize("damage", range(0, 26))
def test_half_of_a_block_is_upright(damage):
    block = b"Exif\0\0II" + struct.pack("<HLHHHLHH", 42, 8, 1, 0x0112, 3, 1, 6, 0)
    assert orientation_of(block[:damage]) == 1


@pytest.mark.parametrize(
    "segments",
    [
        [(0xE1, b"Exif\0\0" + greedy_directory(4000, 17_000))] * 120,  # 7.8 MB of Exif
        [(0xE2, b"MPF\0" + greedy_directory(4000, 17_000))],
        [(0xED, b"Photoshop 3.0\x008BIM" + b"\0" * 60_000)] * 120,
        [(0xE2, b"ICC_PROFILE\0\1\1" + b"\0" * 60_000)] * 120,
    ],
    ids=["exif", "mpf", "photoshop", "icc"],
)
def test_metadata_of_a_jpeg_is_not_parsed_and_changes_no_pixel(segments, monkeypatch):
    expected = decode_image(encoded("JPEG"))
    for parser in (TiffImagePlugin.ImageFileDirectory_v2, Image.Exif):
        monkeypatch.setattr(parser, "load", lambda *_: pytest.fail("it was parsed"))
    assert np.array_equal(decode_image(with_segments(*segments)), expected)


def test_what_tells_the_channels_apart_stays():
    for mode in ("CMYK", "L", "RGB"):
        data = encoded("JPEG", PICTURE.convert(mode))
        bare, _ = bare_jpeg(data)
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(bare))), np.asarray(Image.open(io.BytesIO(data)))
        )


@pytest.mark.parametrize("entries", [513, 60_000])
def test_a_tiff_with_a_huge_directory_is_refused(entries):
    with pytest.raises(ImageError, match="directory"):
        decode_image(greedy_directory(entries, 100))


def test_a_tiff_whose_entries_overlap_is_refused():
    with pytest.raises(ImageError, match="directory"):
        check_tiff(io.BytesIO(greedy_directory(400, 60_000)), "x.tif")


def test_a_directory_inside_a_directory_is_looked_at_too():
    inner = greedy_directory(600, 50)[8:]
    outer = struct.pack("<HHHLLL", 1, 0x8769, 4, 1, 26, 0)
    with pytest.raises(ImageError, match="directory"):
        check_tiff(io.BytesIO(b"II\x2a\0" + struct.pack("<L", 8) + outer + inner), "x.tif")


def test_a_directory_that_points_at_itself_ends():
    loop = struct.pack("<HHHLLL", 1, 0x8769, 4, 1, 8, 0)
    check_tiff(io.BytesIO(b"II\x2a\0" + struct.pack("<L", 8) + loop + b"\0" * 16), "x.tif")


FOREIGN = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n{} loop\n",
    "PPM": encoded("PPM"),
    "TGA": encoded("TGA"),
    "ICNS": encoded("ICNS", PICTURE.resize((64, 64))),
    "PDF": encoded("PDF"),
    "ICO": encoded("ICO"),
    "JPEG2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_other_parser_of_pillow_sees_a_file(kind, monkeypatch):
    Image.init()
    for name, (_, accept) in list(Image.OPEN.items()):
        if name not in FORMATS:
            monkeypatch.setitem(
                Image.OPEN, name, (lambda *_: pytest.fail("another parser was asked"), accept)
            )
    with pytest.raises(ImageError, match="JPEG, PNG"):
        decode_image(FOREIGN[kind])
