"""Make what the page offers to whoever has no picture: ``python docs/examples.py CLIP.gif``.

It writes emotion/assets/examples/: the clip, small, there and back, so that it has no seam; three
of its frames; and a drawn face for each expression.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageSequence

from emotion.labels import LABELS
from train.corpora.drawing import draw_person
from train.corpora.face_model import Person, View, typical

OUT = Path(__file__).resolve().parents[1] / "emotion" / "assets" / "examples"
RATE = 12  # pictures per second, as in the clip
SHOWN = {"clip-front": 9, "clip-turning": 16, "clip-side": 1}
SIDE, SCALE = 960, 250  # px of a drawing, and between its eyes, before it is made smaller
SAVED = 360
VARIANT = {"happiness": 1}  # a smile with closed lips

DRAWN = Person(
    skin=(232, 190, 158),
    hair=(74, 50, 36),
    iris=(70, 92, 104),
    width=1.0,
    jaw=0.2,
    brow=0.055,
    lips=0.065,
    nose=0.16,
    hairline=-0.7,
    long_hair=True,
    bald=False,
    beard=False,
    glasses=False,
)


def write_clip(frames: list[Image.Image], path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "27"})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        for frame in [*frames, *frames[-2:0:-1]]:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))


def draw(label: str) -> Image.Image:
    canvas = np.full((SIDE, SIDE, 3), (226, 221, 212), np.uint8)
    view = View(yaw=0.0, pitch=0.0, roll=0.0, scale=SCALE, centre=(SIDE / 2, 0.42 * SIDE))
    draw_person(canvas, DRAWN, typical(label, VARIANT.get(label, 0)), view)
    return Image.fromarray(canvas).resize((SAVED, SAVED), Image.Resampling.LANCZOS)


def main(clip: str) -> None:
    OUT.mkdir(exist_ok=True)
    with Image.open(clip) as gif:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]
    write_clip(frames, OUT / "clip.mp4")
    for name, index in SHOWN.items():
        frames[index].save(OUT / f"{name}.jpg", quality=82)
    for label in LABELS:
        draw(label).save(OUT / f"drawn-{label}.webp", quality=80, method=6)


if __name__ == "__main__":
    main(sys.argv[1])
