"""The one composition: detect, align, classify, explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from emotion.align import Matrix, align_face, box_crop, plain_crop
from emotion.detect import Detector, Face, RetinaFaceDetector
from emotion.errors import AlignmentError
from emotion.explain import class_activation_maps
from emotion.labels import LABELS
from emotion.network import EmotionNet, normalise
from emotion.weights import Loaded, default_spec, load


@dataclass(frozen=True)
class FaceResult:
    """What the network says about one face, and why.

    Attributes:
        box: float32 (4,), x0, y0, x1, y1 in px of the photo; None if nothing was detected.
        landmarks: float32 (5, 2) in px of the photo, or None.
        score: confidence of the detector, 0..1, or None.
        probabilities: float32 (6,), in the order of ``LABELS``, summing to 1.
        cams: float32 (6, 8, 8), evidence for each class over the crop, non-negative; the classes'
            maps share one scale.
        crop: uint8 (64, 64), the aligned grey face that the network saw.
        matrix: float64 (2, 3), photo to crop pixels.
        sure: False where the answer is "not sure", see ``NetworkConfig.abstain_below``.
    """

    box: npt.NDArray[np.float32] | None
    landmarks: npt.NDArray[np.float32] | None
    score: float | None
    probabilities: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]
    crop: npt.NDArray[np.uint8]
    matrix: Matrix
    sure: bool = True

    @property
    def index(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return LABELS[self.index]

    @property
    def confidence(self) -> float:
        """Probability of the most probable class."""
        return float(self.probabilities[self.index])


class Analyzer:
    """Finds, aligns, classifies and explains the faces of a picture; safe to share by threads."""

    def __init__(self, network: EmotionNet, detector: Detector, weights: str = "custom") -> None:
        self.network = network.eval()
        self.detector = detector
        self.weights = weights
        self.source: Loaded | None = None
        """What exactly the network is, where it was loaded."""

    @classmethod
    def from_weights(cls, spec: str | None = None) -> Analyzer:
        """Build an analyzer with the embedded detector.

        Args:
            spec: see ``emotion.weights.load``; None takes ``emotion.weights.default_spec``.

        Raises:
            WeightsError: if the weights cannot be used.
        """
        return cls.from_loaded(load(default_spec() if spec is None else spec))

    @classmethod
    def from_loaded(cls, loaded: Loaded) -> Analyzer:
        """Build an analyzer from weights that are loaded already."""
        analyzer = cls(loaded.network, RetinaFaceDetector(), loaded.spec)
        analyzer.source = loaded
        return analyzer

    @property
    def description(self) -> dict[str, Any]:
        """What runs: weights, engine, labels and the preprocessing they were trained with."""
        config = self.network.config
        return {
            "weights": self.weights,
            "revision": self.source.revision if self.source else None,
            "notice": self.source.notice if self.source else None,
            "engine": "torch",
            "labels": list(config.labels),
            "template": config.template,
            "zoom": config.zoom,
            "temperature": config.temperature,
            "trained_on": list(config.trained_on),
        }

    def analyze(
        self, image: npt.NDArray[np.uint8], *, detect: bool = True, max_faces: int | None = None
    ) -> list[FaceResult]:
        """Analyze one picture.

        Args:
            image: uint8 RGB (H, W, 3), as ``emotion.images.decode_image`` gives it.
            detect: if False, the whole picture is taken as one face.
            max_faces: keep only this many of the largest faces.

        Returns:
            One result per face, the largest first; empty if there is no face.
        """
        if not detect:
            crop, matrix = plain_crop(image)
            return self._classify([(None, crop, matrix)])
        faces = self.detector.detect(image)[:max_faces]
        return self._classify([(face, *self.crop(image, face)) for face in faces])

    def crop(
        self, image: npt.NDArray[np.uint8], face: Face
    ) -> tuple[npt.NDArray[np.uint8], Matrix]:
        """Cut the crop of a detected face: aligned, or its box where the landmarks fit no face."""
        try:
            return align_face(image, face.landmarks, self.network.config.zoom)
        except AlignmentError:
            return box_crop(image, face.box)

    def classify(
        self, crops: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Classify and explain crops in one forward pass.

        Args:
            crops: uint8 (B, 64, 64).

        Returns:
            Probabilities float32 (B, 6) and maps float32 (B, 6, 8, 8).
        """
        config = self.network.config
        with torch.inference_mode():
            features = self.network.features(normalise(crops, config).contiguous())
            logits = self.network.classify(features)
            probabilities = (logits / config.temperature).softmax(1)
            maps = class_activation_maps(features, self.network.fc.weight)
        return probabilities.numpy(), maps.numpy()

    def _classify(
        self, faces: list[tuple[Face | None, npt.NDArray[np.uint8], Matrix]]
    ) -> list[FaceResult]:
        if not faces:
            return []
        probabilities, maps = self.classify(np.stack([crop for _, crop, _ in faces]))
        sure = probabilities.max(1) >= self.network.config.abstain_below
        return [
            FaceResult(
                box=face.box if face else None,
                landmarks=face.landmarks if face else None,
                score=face.score if face else None,
                probabilities=probabilities[i],
                cams=maps[i],
                crop=crop,
                matrix=matrix,
                sure=bool(sure[i]),
            )
            for i, (face, crop, matrix) in enumerate(faces)
        ]
