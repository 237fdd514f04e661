"""RetinaFace (Deng et al., CVPR 2020): every face with its box, five landmarks and a score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotion.boxes import intersection
from emotion.detect.around import LARGE, Region, is_inside, moved, regions, same_face
from emotion.detect.base import Face
from emotion.detect.checkpoint import MOBILENET_WEIGHTS, RESNET50_URL, download, read_weights
from emotion.detect.mobilenet import MobileNetRetinaFace, resnet50_retinaface
from emotion.detect.priors import decode, priors_of, steadied, suppress
from emotion.engine import Engine, Run, TorchEngine
from emotion.errors import ImageError, WeightsError

Backbone = Literal["mobilenet0.25", "resnet50"]


# Tight crops hold one face that fills the frame; at about this size the network knows such faces.
_SMALL_SIDE = 192
# Above this size faces larger than the largest prior box (512 px) would fall apart into several.
_COARSE_SIDE = 640
_FINE_SIDE = 2048
# Pictures above that are also searched at full size, in tiles that share a margin as wide as the
# largest face that is looked for there: each such face lies whole in one of them.
_TILE = 1280
_TILE_MARGIN = 192
# Share of the picture's longer side up to which a face is looked for at full size.
_FINE_FACE = 0.2
# Magnified skin and cloth look like a face now and then, never a sure one.
_FINE_SCORE = 0.8

_NOTHING = (
    np.zeros((0, 4), np.float32),
    np.zeros((0, 5, 2), np.float32),
    np.zeros(0, np.float32),
)


class RetinaFaceDetector:
    """Finds faces with RetinaFace on the CPU.

    Pictures whose longer side is below 192 px are enlarged to that side first, so that a 48x48 crop
    of a face works. Those above 640 px are searched twice: reduced to that side for large faces,
    and at up to 2048 px for the small ones of a group photo; still larger ones once more, at full
    size in tiles, for faces of 16 px on. Results are in pixels of the input.

    Args:
        backbone: ``mobilenet0.25`` (embedded weights, live speed) or ``resnet50`` (preparation).
        weights: a file to load instead: safetensors, or for ``resnet50`` a state dict saved by
            torch. Without it ``resnet50`` downloads the package's release once.
        engine: runs the network; by default torch does.

    Raises:
        WeightsError: if the weights are missing, damaged, or for another network.
    """

    def __init__(
        self,
        backbone: Backbone = "mobilenet0.25",
        weights: Path | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.backbone: Backbone = backbone
        mobile = backbone == "mobilenet0.25"
        network = MobileNetRetinaFace() if mobile else resnet50_retinaface()
        state = read_weights(weights or MOBILENET_WEIGHTS) if mobile or weights else download()
        try:
            network.load_state_dict(state, strict=True)
        except RuntimeError:
            raise WeightsError(
                f"The detector weights {weights or RESNET50_URL} do not fit the {backbone} "
                "network; choose the file of that backbone."
            ) from None
        if isinstance(network, MobileNetRetinaFace):
            network.take_rgb()
        self._network, self._engine = network, engine or TorchEngine()
        self._left_out = int(mobile)  # maps, where known faces are not small: ``around.LARGE``

    # Each is compiled when it is first needed: photos need one, frames the others.
    @cached_property
    def _heads(self) -> Run:
        return self._compiled()

    @cached_property
    def _frame_heads(self) -> Run:
        return self._compiled(shared=True)

    @cached_property
    def _upper_heads(self) -> Run:
        left_out = self._left_out
        return self._compiled(left_out, shared=True) if left_out else self._frame_heads

    def _compiled(self, left_out: int = 0, *, shared: bool = False) -> Run:
        example = torch.zeros(1, _SMALL_SIDE, _SMALL_SIDE, 3, dtype=torch.uint8)
        graph = DetectorGraph(self._network, self.backbone, left_out).eval()
        return self._engine.compile(graph, example, varying=(1, 2), shared=shared)

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        *,
        min_score: float = 0.5,
        min_size: float = 16.0,
        max_side: int | None = None,
    ) -> list[Face]:
        """Return every face of at least ``min_score`` and ``min_size`` px, the largest first.

        Args:
            image: uint8 RGB (H, W, 3).
            min_score: lowest accepted confidence, 0..1.
            min_size: smallest accepted side in px. Pictures smaller than 4 x 4 px hold no face.
            max_side: look only at a copy whose longer side has at most this many px, and let each
                place be the mean over all priors that see the face, see ``steadied``.

        Raises:
            ImageError: if the array is of another type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            shape = "x".join(map(str, image.shape))
            raise ImageError(
                f"The detector takes uint8 of height x width x 3, not {image.dtype} of "
                f"{shape}; see emotion.decode_image."
            )
        height, width = image.shape[:2]
        if min(height, width) < 4:
            return []
        side = max(height, width)
        # A crop shorter than min_size is enlarged anyway, so the limit is relative to the picture.
        smallest = min(min_size, side / 3)
        steady = max_side is not None
        faces = self._detect_at(image, _coarse_factor(side, max_side), min_score, steady=steady)
        if side > _COARSE_SIDE and max_side is None:
            factor = min(side, _FINE_SIDE) / side
            fine = self._detect_at(image, factor, max(min_score, _FINE_SCORE))
            small = [face for face in fine if face.size <= _FINE_FACE * side]
            faces += [face for face in small if not any(_covers(f, face) for f in faces)]
        if side > _FINE_SIDE and max_side is None:
            faces += self._detect_in_tiles(image, max(min_score, _FINE_SCORE), faces)
        kept = [face for face in faces if face.size >= smallest]
        return sorted(kept, key=lambda face: (-face.size, -face.score))

    def detect_around(
        self,
        image: npt.NDArray[np.uint8],
        known: Sequence[Face],
        *,
        min_score: float = 0.5,
        max_side: int | None = None,
    ) -> list[Face] | None:
        """Find known faces again, around their places, see ``Detector.detect_around``."""
        height, width = image.shape[:2]
        scaled = _resize(image, _coarse_factor(max(height, width), max_side))
        there = np.array([scaled.shape[1] / width, scaled.shape[0] / height])
        nowhere = np.zeros(2)
        before = [moved(face, there, nowhere) for face in known]
        parts = regions(before, scaled.shape[1], scaled.shape[0])
        again: list[Face] = []
        searched: dict[tuple[Region, bool], list[Face]] = {}
        for face, part in zip(before, parts, strict=False):
            search = part, face.size >= LARGE
            if search not in searched:
                x0, y0, x1, y1 = part
                pixels = np.ascontiguousarray(scaled[y0:y1, x0:x1])
                found = self._detect_at(pixels, 1.0, min_score, steady=True, large=search[1])
                searched[search] = [moved(one, np.ones(2), np.array([x0, y0])) for one in found]
            place = same_face(face, searched[search])
            if place is None or not is_inside(place, part, *scaled.shape[1::-1]):
                return None
            again.append(moved(place, 1 / there, nowhere))
        return again or None

    def _detect_at(
        self,
        image: npt.NDArray[np.uint8],
        factor: float,
        min_score: float,
        *,
        steady: bool = False,
        large: bool = False,
    ) -> list[Face]:
        """Detect on a resized copy; faces are in px of the given image."""
        scaled = _resize(image, factor)
        boxes, landmarks, scores = self._run(scaled, min_score, steady, large)
        # Rounding makes the two axes differ slightly; scale each by what was really done.
        back = np.array([image.shape[1], image.shape[0]]) / (scaled.shape[1], scaled.shape[0])
        nowhere = np.zeros(2)
        return [
            moved(Face(box, points, float(score)), back, nowhere)
            for box, points, score in zip(boxes, landmarks, scores, strict=True)
        ]

    def _detect_in_tiles(
        self, image: npt.NDArray[np.uint8], min_score: float, known: list[Face]
    ) -> list[Face]:
        """Find small faces at full size that are not among the known ones."""
        found: list[Face] = []
        rows, columns = (_tiles(side) for side in image.shape[:2])
        for y0, y1 in rows:
            for x0, x1 in columns:
                part = np.ascontiguousarray(image[y0:y1, x0:x1])
                origin = np.array([x0, y0], np.float32)
                # What an inner border cuts lies whole in the next tile.
                low = np.array([x0 > 0, y0 > 0])
                high = np.array([x1 < image.shape[1], y1 < image.shape[0]])
                for face in self._detect_at(part, 1.0, min_score):
                    cut = (low & (face.box[:2] < 1)).any() or (
                        high & (face.box[2:] > (x1 - x0 - 1, y1 - y0 - 1))
                    ).any()
                    if face.size <= _TILE_MARGIN and not cut:
                        box, points = face.box + np.tile(origin, 2), face.landmarks + origin
                        found.append(Face(box, points, face.score))
        new: list[Face] = []
        for face in sorted(found, key=lambda face: -face.score):
            if not any(_covers(other, face) or _covers(face, other) for other in (*known, *new)):
                new.append(face)
        return new

    def _run(
        self, image: npt.NDArray[np.uint8], min_score: float, steady: bool, large: bool
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network: boxes (N, 4), landmarks (N, 5, 2) in its pixels, scores (N,)."""
        height, width = image.shape[:2]
        heads = self._heads
        if steady:  # a frame, not a photo
            heads = self._upper_heads if large else self._frame_heads
        deltas, scores, point_deltas = heads(image[None])
        chosen = np.flatnonzero(scores > min_score)
        if not len(chosen):
            return _NOTHING
        priors = priors_of(height, width, self._left_out if large else 0)[chosen]
        boxes, points = decode(deltas[chosen], point_deltas[chosen], priors)
        size = np.array([width, height], np.float32)
        boxes, points, scores = boxes * np.tile(size, 2), points * size, scores[chosen]
        kept = suppress(boxes, scores)
        if steady:
            boxes[kept], points[kept] = steadied(boxes, points, scores, kept)
        return boxes[kept], points[kept], scores[kept]


class DetectorGraph(nn.Module):
    """Everything between a picture and the heads' outputs, so that one call computes it."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, backbone: Backbone, left_out: int = 0) -> None:
        super().__init__()
        self.network = network
        self.options = {"left_out": left_out} if left_out else {}
        # MobileNet was trained on BGR less the channel means of ImageNet, ResNet on standardised
        # RGB; both are written here for RGB in 0..255.
        mobile = backbone == "mobilenet0.25"
        self.reverse = mobile and not network.takes_rgb
        mean = [123.0, 117.0, 104.0] if mobile else [123.675, 116.28, 103.53]
        std = [1.0, 1.0, 1.0] if mobile else [58.395, 57.12, 57.375]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map RGB uint8 (1, H, W, 3) to what the heads say about each of N prior boxes.

        Returns:
            Box deltas (N, 4), scores (N,) in 0..1, and landmark deltas (N, 10).
        """
        pixels = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std
        pixels = pixels.flip(1) if self.reverse else pixels
        deltas, logits, points = self.network(pixels, **self.options)
        return deltas[0], logits[0].softmax(-1)[:, 1], points[0]


def _tiles(side: int) -> list[tuple[int, int]]:
    """Cut a side into equal spans that overlap by at least the margin."""
    length = min(side, _TILE)
    count = 1 + max(0, -(-(side - length) // (length - _TILE_MARGIN)))
    starts = np.linspace(0, side - length, count).round().astype(int).tolist()
    return [(start, start + length) for start in starts]


def _coarse_factor(side: int, max_side: int | None) -> float:
    """Return the scale of the copy on which large faces are looked for."""
    if side < _SMALL_SIDE:
        return _SMALL_SIDE / side
    return min(side, _COARSE_SIDE, max_side or _COARSE_SIDE) / side


def _covers(large: Face, small: Face) -> bool:
    """Tell whether half of the smaller face's box lies in the larger one's."""
    return intersection(large.box, small.box) > 0.5 * small.size**2


def _resize(image: npt.NDArray[np.uint8], factor: float) -> npt.NDArray[np.uint8]:
    if factor == 1:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
