"""What can be tried without a camera or a picture: portraits, a clip, drawn faces."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.ui import routes
from emotion.ui.strings import text
from emotion.ui.uploads import refusal
from emotion.ui.wire import data_url

if TYPE_CHECKING:
    from starlette.requests import Request

CLIP = "examples/clip.mp4"
"""Address of the clip that plays in the camera's place, relative to the page's."""

CREDIT_LINKS = (
    '<a href="https://github.com/intel-iot-devkit/sample-videos" target="_blank" '
    'rel="noreferrer">Intel IoT DevKit Sample Videos</a>, '
    '<a href="https://creativecommons.org/licenses/by/4.0/" target="_blank" '
    'rel="noreferrer">CC BY 4.0</a>'
)
"""Whose the clip is, as its licence asks for; the licence's note is in ``assets/NOTICE.md``."""

_FOLDER = Path(__file__).parent.parent / "assets" / "examples"
_KEPT_FOR = 24 * 60 * 60  # seconds, by the browser
_PORTRAITS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
_FRAMES = ("clip-front", "clip-turning", "clip-side")


def drawn(name: str) -> str:
    """Return the relative address of the drawn face with an expression."""
    return f"examples/drawn-{name}.webp"


def examples() -> dict[str, Path]:
    """Return the pictures that can be tried, by name.

    These are public-domain portraits of installed packages, without importing those; frames of the
    clip; and a drawn face for each expression.
    """
    found = {}
    for name, (package, file) in _PORTRAITS.items():
        spec = find_spec(package)
        if spec and spec.origin and (path := Path(spec.origin).parent / file).is_file():
            found[name] = path
    found |= {name: _FOLDER / f"{name}.jpg" for name in _FRAMES}
    return found | {f"drawn-{name}": _FOLDER / f"drawn-{name}.webp" for name in LABELS}


def route() -> Route:
    """Return the route of the files in ``assets/examples``."""
    return Route(f"{routes.EXAMPLES}/{{name}}", _file, methods=["GET"])


async def _file(request: Request) -> Response:
    path = _FOLDER / Path(request.path_params["name"]).name
    if not path.is_file():
        return refusal(404, "There is no such example.")
    return FileResponse(path, headers={"cache-control": f"public, max-age={_KEPT_FOR}"})


@lru_cache(maxsize=1)
def example_buttons() -> str:
    """Return a button for each example, in three rows."""
    portraits = "".join(_button(name, _small(name)) for name in _PORTRAITS if name in examples())
    frames = "".join(_button(name, f"examples/{name}.jpg") for name in _FRAMES)
    drawings = "".join(_button(f"drawn-{name}", drawn(name), name) for name in LABELS)
    rows = [("portraits", portraits), ("frames", frames), ("drawn", drawings)]
    credit = f'<p class="em-credit">{text("clip_frames_credit")} {CREDIT_LINKS}</p>'
    return (
        "".join(
            f'<div class="em-examples">{text(f"examples_{kind}", "p")}{buttons}</div>'
            for kind, buttons in rows
            if buttons
        )
        + credit
    )


def _button(name: str, address: str, said: str = "") -> str:
    words = text(said or f"example_{name.replace('-', '_')}")
    return (
        f'<button type="button" class="em-example" data-example="{name}">'
        f'<img src="{address}" alt="" width="56" height="56" loading="lazy">{words}</button>'
    )


def _small(name: str) -> str:
    image = decode_image(examples()[name])
    side = min(image.shape[:2])
    left = (image.shape[1] - side) // 2
    square = np.ascontiguousarray(image[:side, left : left + side])
    return data_url(
        np.asarray(cv2.resize(square, (112, 112), interpolation=cv2.INTER_AREA), np.uint8)
    )
