"""``python -m train superres``: one picture before and after."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image, ImageDraw

from emotion.errors import ConfigError
from emotion.files import write_bytes
from emotion.images import decode_image, to_grey
from train.superres import SOURCE, TARGET, Bicubic, Method, UpScaler, load_upscaler
from train.superres.resize import GreyImages, centre_square, resize_grey

_ZOOM, _GAP, _CAPTION = 4, 8, 18


@dataclass(frozen=True)
class Arguments:
    """Enlarge one picture to 64x64 and write input, bicubic and result side by side.

    The picture is turned to grey and its centred square is taken. From 64 px on, that is reduced to
    64x64, which becomes the truth to compare with, and to 48x48, which becomes the input.

    For example:

    python -m train superres face.png

    python -m train superres face.png --method eigenface_lmmse --model eigenface.safetensors
    """

    image: Annotated[Path, tyro.conf.Positional]
    """Picture to enlarge."""

    method: Method = "zssr"
    """How. zssr_per_image takes minutes."""

    model: Path | None = None
    """Fitted model (see superres-fit); zssr trains on the picture alone without one."""

    out: Path | None = None
    """PNG to write; by default <picture>-<method>.png in the current folder."""


def run(args: Arguments) -> int:
    """Write the comparison and print what was done.

    Raises:
        EmotionError: if the picture, the model or the output cannot be used.
    """
    out = args.out or Path(f"{args.image.stem}-{args.method}.png")
    if out.suffix.lower() != ".png":
        raise ConfigError(f"The comparison is written as PNG; {out} must end in .png.")
    upscaler = load_upscaler(args.method, args.model)
    square = centre_square(to_grey(decode_image(args.image)))
    small, truth = _observation(square)
    if truth is None:
        print(f"{args.image}: centred square {len(small)}x{len(small)} px is the input.")
    else:
        print(
            f"{args.image}: centred square {len(square)}x{len(square)} px, reduced to "
            f"{TARGET}x{TARGET} (the truth) and to {SOURCE}x{SOURCE} (the input)."
        )
    panels = {
        f"input {len(small)}": small,
        "bicubic": Bicubic()(small[None])[0],
        args.method: _enlarge(upscaler, small, args.method),
    }
    if truth is not None:
        for name in dict.fromkeys(("bicubic", args.method)):
            print(f"PSNR of {name}: {_psnr(panels[name], truth):.2f} dB.")
        panels["truth"] = truth
    write_bytes(out, _comparison(panels))
    print(f"Wrote {out}.")
    return 0


def _observation(square: GreyImages) -> tuple[GreyImages, GreyImages | None]:
    """Small picture, and the truth where the given one was large enough to hold it."""
    if len(square) < TARGET:
        return square, None
    truth = resize_grey(square[None], TARGET, TARGET)
    return resize_grey(truth, SOURCE, SOURCE)[0], truth[0]


def _enlarge(upscaler: UpScaler, small: GreyImages, method: str) -> GreyImages:
    started = time.perf_counter()
    enlarged: GreyImages = upscaler(small[None])[0]
    seconds = time.perf_counter() - started
    if upscaler.falls_back(small[None])[0]:
        print(
            f"{method} cannot help here (the picture has another size than it was fitted for, or "
            "does not look like the faces it knows), so its result is plain bicubic."
        )
    print(f"{method}: {len(small)}x{len(small)} to {TARGET}x{TARGET} in {seconds:.2f} s.")
    return enlarged


def _psnr(image: GreyImages, truth: GreyImages) -> float:
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def _comparison(panels: dict[str, GreyImages]) -> bytes:
    """Draw captioned panels beside each other, each enlarged without smoothing; PNG bytes."""
    side = TARGET * _ZOOM
    width = len(panels) * (side + _GAP) + _GAP
    canvas = Image.new("L", (width, side + _CAPTION + _GAP), 255)
    draw = ImageDraw.Draw(canvas)
    for index, (caption, pixels) in enumerate(panels.items()):
        left = _GAP + index * (side + _GAP)
        draw.text((left, 3), caption, fill=0)
        panel = Image.fromarray(np.ascontiguousarray(pixels))
        canvas.paste(panel.resize((side, side), Image.Resampling.NEAREST), (left, _CAPTION))
    encoded = io.BytesIO()
    canvas.save(encoded, "PNG")
    return encoded.getvalue()
