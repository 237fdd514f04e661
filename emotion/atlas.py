"""The emotion atlas: where the evidence for each class lies on the average face, drawn.

The face is a drawing after the landmark template, so it is nobody's.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from emotion.align import CROP_SIZE, template
from emotion.cover import PARTS
from emotion.labels import LABELS

ATLAS = Path(__file__).parent / "assets" / "atlas.json"
"""The atlas of the embedded weights, which ``train explain --atlas`` wrote."""

_SIDE = 210  # px of a panel in the figure
_HEAD = 58  # px above it
_LINE = "#8b857c"


@dataclass(frozen=True)
class Atlas:
    """Mean evidence over validation faces with sure answers.

    Attributes:
        weights: SHA-256 of the tensors that it belongs to, hexadecimal.
        zoom: of the crops, see ``emotion.align.template``.
        faces: number of faces of each class.
        maps: (6, 8, 8), the mean map of each class over the faces that it is the answer to.
        decisive: (6, 7), in what part of them covering each of ``PARTS`` decides, and none does.
    """

    weights: str
    zoom: float
    faces: tuple[int, ...]
    maps: list[Any]
    decisive: list[list[float]]

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self)) + "\n"

    def most_decisive(self, index: int) -> tuple[str, float] | None:
        """Return the part that decides most often about a class, and in what part of its faces."""
        shares = self.decisive[index][: len(PARTS)]
        at = int(np.argmax(shares))
        return (PARTS[at], shares[at]) if shares[at] > 0 else None


def read_atlas(path: Path = ATLAS) -> Atlas | None:
    """Read an atlas, or return None if there is none or it is something else."""
    try:
        values = json.loads(path.read_text("utf-8"))
        atlas = Atlas(**values)
        fits = np.shape(atlas.maps) == (len(LABELS), 8, 8)
        fits &= np.shape(atlas.decisive) == (len(LABELS), len(PARTS) + 1)
    except (OSError, ValueError, TypeError):
        return None
    return atlas if fits and len(atlas.faces) == len(LABELS) else None


def panel(atlas: Atlas, index: int) -> str:
    """Draw the evidence for one class on the average face.

    Returns:
        An SVG element of 64x64 units without a size; all classes share one scale.
    """
    maps = np.array(atlas.maps, np.float32)
    cam = maps[index] / max(float(maps.max()), 1e-12)
    return (
        f'<svg viewBox="-0.5 -0.5 {CROP_SIZE} {CROP_SIZE}" xmlns="http://www.w3.org/2000/svg">'
        f'<rect x="-0.5" y="-0.5" width="{CROP_SIZE}" height="{CROP_SIZE}" fill="#f4f1ec"/>'
        f"{_face(atlas.zoom)}"
        f'<image x="-0.5" y="-0.5" width="{CROP_SIZE}" height="{CROP_SIZE}" href="{_heat(cam)}"/>'
        "</svg>"
    )


def atlas_svg(atlas: Atlas) -> str:
    """Draw all six classes side by side, with the part that decides most often in words."""
    panels = []
    for index, name in enumerate(LABELS):
        x, y = (index % 3) * (_SIDE + 20) + 10, (index // 3) * (_SIDE + _HEAD + 14) + 10
        decided = atlas.most_decisive(index)
        said = f"no part decides, {atlas.faces[index]} faces"
        if decided is not None:
            said = f"{decided[0]}: decisive in {decided[1]:.0%} of {atlas.faces[index]}"
        panels += [
            f'<text x="{x}" y="{y + 22}" font-size="19" font-weight="600">',
            f"{name.capitalize()}</text>",
            f'<text x="{x}" y="{y + 44}" font-size="14" fill="#5d5953">{said}</text>',
            f'<svg x="{x}" y="{y + _HEAD}" width="{_SIDE}" height="{_SIDE}">',
            f"{panel(atlas, index)}</svg>",
        ]
    width, height = 3 * (_SIDE + 20), 2 * (_SIDE + _HEAD + 14) + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" fill="#1d1c1a">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _face(zoom: float) -> str:
    """Draw a face whose eyes, nose and mouth lie on the template's landmarks."""
    left_eye, right_eye, nose, left_mouth, right_mouth = template(zoom)
    unit = float(right_eye[0] - left_eye[0])
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    lines = [
        _path(
            eyes + np.array([-1.05, -0.35]) * unit,
            mouth + np.array([-1.0, 1.0]) * unit,
            mouth + np.array([1.0, 1.0]) * unit,
            eyes + np.array([1.05, -0.35]) * unit,
        ),
        _path(
            left_mouth,
            mouth + np.array([-0.2, 0.13]) * unit,
            mouth + np.array([0.2, 0.13]) * unit,
            right_mouth,
        ),
        _path(
            eyes + np.array([-0.06, 0.2]) * unit,
            nose + np.array([-0.4, 0.12]) * unit,
            nose + np.array([-0.1, 0.2]) * unit,
            nose + np.array([0.16, 0.1]) * unit,
        ),
    ]
    for eye in (left_eye, right_eye):
        # Half width, height of the ends, and height of the bow: lids, and brow.
        for half, ends, bow in ((0.24, 0.0, -0.16), (0.24, 0.0, 0.1), (0.34, -0.3, -0.46)):
            places = [(-half, ends), (-0.4 * half, bow), (0.4 * half, bow), (half, ends)]
            lines.append(_path(*(eye + np.array(place) * unit for place in places)))
        lines.append(
            f'<circle cx="{eye[0]:.1f}" cy="{eye[1]:.1f}" r="{0.07 * unit:.1f}" fill="{_LINE}"/>'
        )
    return (
        f'<g fill="none" stroke="{_LINE}" stroke-width="0.7" stroke-linecap="round">'
        f"{''.join(lines)}</g>"
    )


def _path(*points: npt.NDArray[np.float64]) -> str:
    start, one, two, end = (f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{start}C{one} {two} {end}"/>'


def _heat(cam: npt.NDArray[np.float32]) -> str:
    large = cv2.resize(cam, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    levels = np.rint(np.clip(large, 0, 1) * 255).astype(np.uint8)
    colors = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    buffer = io.BytesIO()
    alpha = (levels * 0.8).astype(np.uint8)[:, :, None]
    Image.fromarray(np.concatenate([colors, alpha], axis=2), "RGBA").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
