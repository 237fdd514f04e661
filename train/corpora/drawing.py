"""Drawing of one face whose brows, eyes and mouth follow an expression."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from train.corpora.face_model import (
    Colour,
    Muscles,
    Person,
    Points,
    View,
    contract,
    make_person,
    make_view,
)

SIZE = 96
"""Width and height of a drawn image in pixels."""

_OVERSAMPLING = 3
_CANVAS = SIZE * _OVERSAMPLING

_EYE, _NOSE_TIP, _MOUTH = (0.5, 0.0), (0.0, 0.66), (0.0, 1.13)

Canvas = npt.NDArray[np.uint8]


def draw_face(label: str, seed: int, index: int) -> tuple[bytes, tuple[float, ...]]:
    """Draw the face that belongs to ``seed`` and ``index``, showing the expression ``label``.

    Args:
        label: one of the six expressions, or ``neutral``.
        seed: of the corpus.
        index: of the image in it.

    Returns:
        JPEG bytes of ``SIZE`` x ``SIZE`` pixels, a third of them grey; and ten numbers, x and y in
        pixels of left eye, right eye, nose tip, left and right mouth corner as seen in the image.
    """
    rng = np.random.default_rng([seed, index])
    person, view = make_person(rng), make_view(rng, _CANVAS)
    muscles = contract(label, rng)
    canvas = _background(rng)
    corners = draw_person(canvas, person, muscles, view)
    image = _photograph(canvas, rng)
    eyes = view([(-_EYE[0], _EYE[1]), _EYE])
    five = np.concatenate([eyes, view(_NOSE_TIP, 0.35), corners]) / _OVERSAMPLING
    # The centre of canvas pixel 0 lies between the centres of two image pixels.
    five -= 0.5 - 0.5 / _OVERSAMPLING
    return image, tuple(float(value) for value in five.ravel())


def draw_person(canvas: Canvas, person: Person, muscles: Muscles, view: View) -> Points:
    """Draw a face with its expression on a canvas, uint8 RGB (H, W, 3).

    Returns:
        x and y in px of the left and the right mouth corner as seen in the image.
    """
    _draw_head(canvas, person, muscles, view)
    _draw_nose(canvas, person, muscles, view)
    for side in (-1.0, 1.0):
        _draw_eye(canvas, person, muscles, view, side)
    return _draw_mouth(canvas, person, muscles, view)


def _background(rng: np.random.Generator) -> Canvas:
    top, bottom = rng.uniform(20, 235, (2, 1, 1, 3))
    ramp = np.linspace(0, 1, _CANVAS)[:, None, None]
    canvas = np.tile(top + ramp * (bottom - top), (1, _CANVAS, 1)).astype(np.uint8)
    for _ in range(3):
        centre, radius = rng.integers(0, _CANVAS, 2), int(rng.integers(_CANVAS // 20, _CANVAS // 3))
        colour = rng.uniform(20, 235, 3).tolist()
        cv2.circle(canvas, (int(centre[0]), int(centre[1])), radius, colour, -1, cv2.LINE_AA)
    return canvas


def _draw_head(canvas: Canvas, person: Person, muscles: Muscles, view: View) -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    below = np.clip(np.sin(angle), 0, 1)
    x = person.width * np.cos(angle) * (1 - person.jaw * below**2)
    y = 0.4 + np.where(np.sin(angle) < 0, 1.3, 1.38 + 0.4 * max(0.0, muscles.opening)) * np.sin(
        angle
    )
    head = np.stack([x, y], 1)
    if person.long_hair:
        _fill(canvas, view(head * (1.22, 1.12) + (0, 0.05), -0.5), person.hair)
    shoulders = [(-2, 3.4), (-1.5, 2.15), (-0.5, 1.95), (0.5, 1.95), (1.5, 2.15), (2, 3.4)]
    _fill(canvas, view(shoulders, -0.4), _shade(person.iris, 1.3))
    _fill(
        canvas,
        view([(-0.45, 1.2), (0.45, 1.2), (0.5, 2.1), (-0.5, 2.1)], -0.3),
        _shade(person.skin, 0.8),
    )
    for side in (-1, 1):
        _fill(
            canvas,
            view(_oval(side * person.width, 0.3, 0.14, 0.26), -0.3),
            _shade(person.skin, 0.88),
        )
    _fill(canvas, view(head), person.skin)
    if person.beard:
        chin = head[(angle > 0.1) & (angle < np.pi - 0.1)]
        inner = [(-0.62, 0.75), (-0.3, 0.88), (0.3, 0.88), (0.62, 0.75)]
        _fill(canvas, view(np.concatenate([chin, inner])), _mix(person.skin, person.hair, 0.75))
    if not person.bald:
        crown = head[angle >= np.pi] * 1.05
        temple = person.hairline + 0.15
        line = [(0.98, 0.1), (0.8, temple), (0.3, person.hairline), (-0.8, temple), (-0.98, 0.1)]
        _fill(canvas, view(np.concatenate([crown, line])), person.hair)


def _draw_nose(canvas: Canvas, person: Person, muscles: Muscles, view: View) -> None:
    dark = _shade(person.skin, 0.72)
    x, y = _NOSE_TIP
    for side in (-1, 1):
        # The light side of the nose has a fainter edge.
        edge = [(side * 0.09, 0.1), (side * 0.1, 0.4), (side * person.nose, y)]
        _stroke(
            canvas,
            view(edge, 0.25),
            _mix(person.skin, dark, 0.45 if side < 0 else 0.8),
            0.025,
            view,
        )
        _fill(
            canvas,
            view(_oval(x + side * 0.075, y + 0.06, 0.045, 0.025), 0.3),
            _shade(person.skin, 0.45),
        )
        if muscles.frown > 0.05:
            line = [(side * 0.07, -0.36), (side * 0.06, -0.14)]
            _stroke(canvas, view(line, 0.1), _mix(person.skin, dark, muscles.frown), 0.035, view)
        if muscles.folds > 0.05:
            fold = _bend((side * 0.24, y - 0.02), (side * 0.5, y + 0.12), (side * 0.56, y + 0.45))
            _stroke(canvas, view(fold, 0.15), _mix(person.skin, dark, muscles.folds), 0.035, view)
    for height in (0.1, 0.2, 0.3) if muscles.wrinkle > 0.05 else ():
        crease = _bend((-0.15, height + 0.05), (0, height - 0.05), (0.15, height + 0.05))
        _stroke(canvas, view(crease, 0.25), _mix(person.skin, dark, muscles.wrinkle), 0.03, view)


def _draw_eye(canvas: Canvas, person: Person, muscles: Muscles, view: View, side: float) -> None:
    x, y = side * _EYE[0], _EYE[1]
    t = np.linspace(-1, 1, 17)
    # A lifted inner brow pulls the lid along: the eye slants as it does in sadness.
    slant = 0.25 * (muscles.brow_outer - muscles.brow_inner) * t * side
    upper = np.stack(
        [x + 0.22 * t, y - slant - max(0.012, 0.095 + muscles.upper_lid) * (1 - t**2)], 1
    )
    lower = np.stack([x + 0.22 * t, y - slant + (0.07 - muscles.lower_lid) * (1 - t**2)], 1)
    opening = view(np.concatenate([upper, lower[::-1]]))
    inside = canvas.copy()
    _fill(inside, opening, (238, 236, 232))
    _fill(inside, view(_oval(x, y, 0.095, 0.095)), person.iris)
    _fill(inside, view(_oval(x, y, 0.045, 0.045)), (12, 10, 10))
    _fill(inside, view(_oval(x - 0.03, y - 0.035, 0.018, 0.018)), (250, 250, 250))
    _paste(canvas, inside, opening)
    _stroke(canvas, view(upper), _shade(person.skin, 0.3), 0.035, view)
    _stroke(canvas, view(lower), _shade(person.skin, 0.62), 0.018, view)
    inner, outer = muscles.brow_inner, muscles.brow_outer
    middle = (x + side * 0.02, -0.37 - 0.6 * (inner + outer))
    brow = _bend(
        (side * (0.23 - muscles.brow_pinch), -0.27 - inner), middle, (side * 0.82, -0.22 - outer)
    )
    thickness = person.brow * np.linspace(1.1, 0.45, len(brow))[:, None] * (0, 1)
    _fill(
        canvas,
        view(np.concatenate([brow - thickness, (brow + thickness)[::-1]]), 0.08),
        _shade(person.hair, 0.8),
    )
    if person.glasses:
        _stroke(canvas, view(_oval(x, y + 0.03, 0.36, 0.3), 0.1), (24, 24, 28), 0.03, view)


def _draw_mouth(canvas: Canvas, person: Person, muscles: Muscles, view: View) -> Points:
    """Draw lips, gap and teeth; return the projected corners, left one first."""
    half, middle = 0.4 + muscles.width, _MOUTH[1] + 0.35 * muscles.corners
    opening = max(0.0, muscles.opening)
    t = np.linspace(-1, 1, 33)
    bow = np.abs(t) ** (2 + 4 * muscles.square)
    corner = _MOUTH[1] - muscles.corners

    def lip_line(height: float) -> Points:
        return np.stack([half * t, height + (corner - height) * bow], 1)

    upper = lip_line(middle - 0.35 * opening - muscles.upper_lip)
    lower = lip_line(middle + 0.65 * opening - 0.3 * muscles.upper_lip)
    taper = ((1 - t**2) ** 0.6)[:, None] * (0, 1)
    thickness = person.lips * (1 + 0.8 * muscles.lips)
    outline = np.concatenate([upper - thickness * taper, (lower + 1.3 * thickness * taper)[::-1]])
    rose = _mix(person.skin, (176, 70, 74), 0.55)
    _fill(canvas, view(outline, 0.2), rose)
    gap = view(np.concatenate([upper, lower[::-1]]), 0.2)
    if opening > 0.03:
        inside = canvas.copy()
        _fill(inside, gap, (58, 22, 26))
        edge = upper + muscles.teeth * (lower - upper)
        _fill(inside, view(np.concatenate([upper, edge[::-1]]), 0.2), (240, 236, 226))
        _paste(canvas, inside, gap)
    _stroke(canvas, view(upper, 0.2), _shade(rose, 0.45), 0.028, view)
    return view([(-half, corner), (half, corner)], 0.2)


def _photograph(canvas: Canvas, rng: np.random.Generator) -> bytes:
    """Reduce the scene to its final size, light it, and add a camera's blur and noise."""
    image = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    grid = np.linspace(-1, 1, SIZE)
    across, down = rng.normal(0, 0.18, 2)
    light = rng.uniform(0.75, 1.15) + across * grid[None, :] + down * grid[:, None]
    lit = np.clip(image * np.clip(light, 0.3, 1.6)[:, :, None], 0, 255)
    lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.2, 0.8))
    image = lit + rng.normal(0, rng.uniform(1, 6), lit.shape)
    pixels = np.clip(image, 0, 255).astype(np.uint8)[:, :, ::-1]
    if rng.random() < 1 / 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


def _oval(x: float, y: float, width: float, height: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], 1)


def _bend(start: Colour, control: Colour, end: Colour) -> Points:
    """Return a quadratic Bezier curve of 13 points."""
    t = np.linspace(0, 1, 13)[:, None]
    a, b, c = (np.asarray(point, np.float64) for point in (start, control, end))
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)


def _fill(canvas: Canvas, points: Points, colour: Colour) -> None:
    cv2.fillPoly(canvas, [np.rint(points * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _stroke(canvas: Canvas, points: Points, colour: Colour, width: float, view: View) -> None:
    line = np.rint(points * 16).astype(np.int32)
    cv2.polylines(canvas, [line], False, colour, max(1, round(width * view.scale)), cv2.LINE_AA, 4)


def _paste(canvas: Canvas, source: Canvas, region: Points) -> None:
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(region * 16).astype(np.int32)], (255.0,), cv2.LINE_8, 4)
    cv2.copyTo(source, mask, canvas)


def _shade(colour: Colour, factor: float) -> Colour:
    return tuple(min(255.0, value * factor) for value in colour)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    return tuple((1 - share) * a + share * b for a, b in zip(first, second, strict=True))
