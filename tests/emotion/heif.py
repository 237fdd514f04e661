"""A HEIC file from one frame of HEVC (ISO/IEC 23008-12), since our reader does not write any."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt


def heic(image: npt.NDArray[np.uint8], quarter_turns: int = 0) -> bytes:
    """Encode uint8 RGB (H, W, 3) of even sides; a reader turns it anticlockwise that many times."""
    configuration, sample = _encode(image)
    height, width = image.shape[:2]
    file_type = _box(b"ftyp", b"heic" + struct.pack(">I", 0) + b"mif1heic")
    extents = _full(b"ispe", 0, struct.pack(">II", width, height))
    properties = _box(b"hvcC", configuration) + extents + _box(b"irot", bytes([quarter_turns]))
    uses = struct.pack(">IHBBBB", 1, 1, 3, 0x80 | 1, 2, 0x80 | 3)
    meta = b"".join(
        [
            _full(b"hdlr", 0, struct.pack(">I4s3I", 0, b"pict", 0, 0, 0) + b"\0"),
            _full(b"pitm", 0, struct.pack(">H", 1)),
            _full(
                b"iinf",
                0,
                struct.pack(">H", 1) + _full(b"infe", 2, struct.pack(">HH4sB", 1, 0, b"hvc1", 0)),
            ),
            _box(b"iprp", _box(b"ipco", properties) + _full(b"ipma", 0, uses)),
        ]
    )
    locations = 12 + 2 + 2 + 6 + 8
    offset = len(file_type) + 12 + len(meta) + locations + 8
    meta += _full(b"iloc", 0, struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(sample)))
    return file_type + _full(b"meta", 0, meta) + _box(b"mdat", sample)


def _encode(image: npt.NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return the decoder's configuration record and one intra frame with length prefixes."""
    codec = av.CodecContext.create("libx265", "w")
    codec.width, codec.height = image.shape[1], image.shape[0]
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 25)
    codec.options = {"x265-params": "log-level=none:qp=10:info=0:repeat-headers=1:keyint=1"}
    frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
    stream = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    units = [unit.strip(b"\0") for unit in stream.split(b"\0\0\1") if unit.strip(b"\0")]
    kinds = [(unit[0] >> 1) & 63 for unit in units]
    arrays = b""
    for kind in (32, 33, 34):  # parameter sets of video, sequence and picture
        unit = units[kinds.index(kind)]
        arrays += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
    level = units[kinds.index(33)]
    profile = level.replace(b"\0\0\3", b"\0\0")[3:15]  # after its header and two ids
    head = b"\1" + profile + b"\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\3"
    slices = [unit for unit, kind in zip(units, kinds, strict=True) if kind < 32]
    return head + arrays, b"".join(struct.pack(">I", len(unit)) + unit for unit in slices)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, version: int, content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + content)
