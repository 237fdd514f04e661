"""What a drawn face is made of: the expression in its muscles, the person, the turn of the head.

What each expression does to the face follows the action units of Ekman and Friesen (1978):
happiness raises the cheeks and pulls the mouth corners up (6+12), surprise raises the brows and
drops the jaw (1+2+5+26), sadness raises the inner brows and lowers the corners (1+4+15), anger
lowers the brows and tightens lids and lips (4+5+7+23), disgust wrinkles the nose and raises the
upper lip (9+10+16), fear raises the brows, draws them together and stretches the mouth
(1+2+4+5+20). Person and view are drawn independently of the expression.

Everything on the face is measured in distances between the eye centres, x to the right and y down,
from the point between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Colour = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Muscles:
    """How far the parts of the face are moved; all zero is neutral."""

    brow_inner: float = 0.0  # lift of the inner ends
    brow_outer: float = 0.0
    brow_pinch: float = 0.0  # inner ends towards each other
    upper_lid: float = 0.0  # opening added above
    lower_lid: float = 0.0  # opening taken away below
    wrinkle: float = 0.0  # across the nose, 0 to 1
    frown: float = 0.0  # upright lines between the brows, 0 to 1
    folds: float = 0.0  # from the nose to the mouth corners, 0 to 1
    corners: float = 0.0  # lift of the mouth corners
    width: float = 0.0  # added to half of the mouth's width
    opening: float = 0.0  # gap between the lips
    upper_lip: float = 0.0  # lift of its middle
    square: float = 0.0  # mouth opening: 0 pointed, 1 rectangular
    teeth: float = 0.0  # share of the gap that they fill
    lips: float = 0.0  # added to their thickness, -1 to 1


_EXPRESSIONS: dict[str, tuple[Muscles, ...]] = {
    "happiness": (
        Muscles(0.02, 0.03, 0, -0.01, 0.05, 0, 0, 0.9, 0.17, 0.11, 0.24, 0, 0.2, 0.75, -0.2),
        Muscles(0.01, 0.02, 0, -0.01, 0.045, 0, 0, 0.8, 0.17, 0.09, 0, 0, 0, 0, -0.1),
    ),
    "surprise": (Muscles(0.21, 0.22, 0, 0.075, -0.01, 0, 0, 0, 0, -0.15, 0.46, 0.02, 0.3),),
    "sadness": (Muscles(0.15, -0.1, 0.05, -0.045, 0, 0, 0.3, 0.35, -0.16, -0.05, 0, 0, 0, 0, 0.1),),
    "anger": (
        Muscles(-0.14, 0.07, 0.09, -0.025, 0.02, 0, 1, 0.2, -0.05, 0, 0, 0, 0.5, 0, -0.6),
        Muscles(-0.14, 0.07, 0.09, -0.01, 0.02, 0.2, 1, 0.5, -0.04, -0.02, 0.26, 0, 1, 0.9, -0.4),
    ),
    "disgust": (
        Muscles(-0.07, -0.05, 0.04, -0.05, 0.045, 1, 0.2, 1, -0.08, -0.03, 0.1, 0.12, 0.1, 0.7),
        Muscles(-0.07, -0.04, 0.04, -0.05, 0.04, 1, 0.2, 1, -0.1, -0.05, 0, 0.1, 0, 0, 0.2),
    ),
    "fear": (
        Muscles(0.22, 0.06, 0.09, 0.07, 0.005, 0, 0.4, 0.2, -0.08, 0.12, 0.17, 0, 0.8, 0.35, -0.3),
    ),
    "neutral": (Muscles(),),
}

_SKIN = np.array([(246, 214, 190), (226, 182, 148), (190, 136, 100), (128, 84, 60), (84, 54, 40)])
_HAIR = np.array([(28, 24, 24), (70, 46, 32), (120, 80, 44), (196, 158, 92), (150, 146, 142)])


@dataclass(frozen=True, slots=True)
class View:
    """The turn of the head and where it lands in the image."""

    yaw: float
    pitch: float
    roll: float
    scale: float  # canvas pixels per distance between the eyes
    centre: tuple[float, float]

    def __call__(self, points: npt.ArrayLike, depth: float = 0.0) -> Points:
        """Project points of the face, ``depth`` in front of its plane, to canvas pixels."""
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        x = x * np.cos(self.yaw) + depth * np.sin(self.yaw)
        y = y * np.cos(self.pitch) + depth * np.sin(self.pitch)
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turned = np.stack([x * cos - y * sin, x * sin + y * cos], 1)
        return np.asarray(turned * self.scale + np.asarray(self.centre))


@dataclass(frozen=True, slots=True)
class Person:
    """What makes the face somebody's."""

    skin: Colour
    hair: Colour
    iris: Colour
    width: float
    jaw: float
    brow: float
    lips: float
    nose: float
    hairline: float
    long_hair: bool
    bald: bool
    beard: bool
    glasses: bool


def typical(label: str, variant: int = 0) -> Muscles:
    """Show one variant of the expression as it is described, without anything of chance."""
    return _EXPRESSIONS[label][variant]


def contract(label: str, rng: np.random.Generator) -> Muscles:
    """Show the expression more or less strongly, every part a little differently."""
    variants = _EXPRESSIONS[label]
    target = variants[rng.integers(len(variants))]
    strength = rng.uniform(0.55, 1.1)
    values = []
    for field in fields(Muscles):
        value = getattr(target, field.name) * strength * (1 + 0.15 * rng.standard_normal())
        values.append(value + 0.012 * rng.standard_normal())
    contracted = dict(zip((field.name for field in fields(Muscles)), values, strict=True))
    for name in ("wrinkle", "frown", "folds", "square", "teeth"):
        contracted[name] = float(np.clip(contracted[name], 0, 1))
    return Muscles(**contracted)


def make_person(rng: np.random.Generator) -> Person:
    """Invent somebody."""

    def between(colours: npt.NDArray[np.int64]) -> Colour:
        place = rng.uniform(0, len(colours) - 1)
        low = int(place)
        mixed = colours[low] + (place - low) * (colours[low + 1] - colours[low])
        return tuple(map(float, mixed))

    chance = rng.random(4)
    return Person(
        skin=between(_SKIN),
        hair=between(_HAIR),
        iris=tuple(map(float, rng.uniform((30, 40, 30), (110, 120, 130)))),
        width=rng.uniform(0.92, 1.12),
        jaw=rng.uniform(0.08, 0.3),
        brow=rng.uniform(0.035, 0.075),
        lips=rng.uniform(0.045, 0.085),
        nose=rng.uniform(0.13, 0.2),
        hairline=rng.uniform(-0.85, -0.55),
        long_hair=bool(chance[0] < 0.4),
        bald=bool(chance[1] < 0.1),
        beard=bool(chance[2] < 0.15),
        glasses=bool(chance[3] < 0.15),
    )


def make_view(rng: np.random.Generator, size: int) -> View:
    """Turn the head and place it near the middle of a canvas of ``size`` pixels."""
    scale = size * rng.uniform(0.26, 0.32)
    middle = size * rng.uniform(0.47, 0.53, 2) - (0, 0.45 * scale)
    return View(
        yaw=rng.normal(0, 0.25),
        pitch=rng.normal(0, 0.15),
        roll=rng.normal(0, 0.15),
        scale=scale,
        centre=(float(middle[0]), float(middle[1])),
    )
