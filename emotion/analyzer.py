"""The one composition: detect, align, classify, explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emotion.align import CROP_SIZE, Matrix, align_face, box_crop, plain_crop
from emotion.calibration import Calibration, calm_probabilities
from emotion.cam import regular_maps
from emotion.classifier import Classifier
from emotion.cover import CoverTest, Fill, landmarks_on_crop, part_masks, smooth_fill
from emotion.detect import Detector, Face, RetinaFaceDetector
from emotion.detect.plausible import plausible_faces
from emotion.doubt import reason_for_doubt
from emotion.engine import TorchEngine, choose
from emotion.errors import AlignmentError, ImageError
from emotion.images import Source, as_rgb
from emotion.labels import LABELS
from emotion.network import EmotionNet
from emotion.reliability import MIN_SCORE
from emotion.result import FaceResult
from emotion.upright import turned_around
from emotion.weights import Loaded, default_spec, load

FRAME_SIDE = 320
"""Longer side in px of the copy on which the faces of a live frame are looked for."""


class Classified(NamedTuple):
    """What the network says about B crops, calibrated.

    Attributes:
        probabilities: float32 (B, 6).
        cams: float32 (B, 6, 8, 8).
        calm: float32 (B,), 0..1, see ``FaceResult.calm``; None where the weights do not tell.
    """

    probabilities: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]
    calm: npt.NDArray[np.float32] | None


class Analyzer:
    """Finds, aligns, classifies and explains the faces of a picture; safe to share by threads.

    Args:
        network: says what the faces show.
        detector: finds them.
        weights: SPEC of the network, for the description.
        classifier: runs the network; by default torch does.
        exact: runs it in float32, where ``classifier`` does not: pictures and explanations are
            worth the time, frames of a video are not.
    """

    def __init__(
        self,
        network: EmotionNet,
        detector: Detector,
        weights: str = "custom",
        classifier: Classifier | None = None,
        exact: Classifier | None = None,
    ) -> None:
        self.network = network.eval()
        self.detector = detector
        self.weights = weights
        self.classifier = classifier or Classifier(network, TorchEngine())
        self.exact = exact or self.classifier
        self.source: Loaded | None = None
        """What exactly the network is, where it was loaded."""

    @classmethod
    def from_weights(cls, spec: str | None = None, *, convention: str | None = None) -> Analyzer:
        """Build an analyzer with the embedded detector, on the fastest engine that is there.

        Args:
            spec: see ``emotion.weights.load``; None takes ``emotion.weights.default_spec``.
            convention: corpus whose way of labelling answers; None leaves it to the weights.

        Raises:
            WeightsError: if the weights cannot be used.
            ConfigError: if the engine that was asked for is not there, or the weights do not know
                that convention.
        """
        return cls.from_loaded(load(default_spec() if spec is None else spec, convention))

    @classmethod
    def from_loaded(cls, loaded: Loaded) -> Analyzer:
        """Build an analyzer from weights that are loaded already.

        Raises:
            ConfigError: if the engine that was asked for is not there.
        """
        engine = choose()
        classifier = Classifier(loaded.network, engine, (loaded.folder, loaded.digest))
        exact = None if classifier.exact else Classifier(loaded.network, engine)
        detector = RetinaFaceDetector(engine=engine)
        analyzer = cls(loaded.network, detector, loaded.spec, classifier, exact)
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
            "engine": self.classifier.engine,
            "labels": list(config.labels),
            "template": config.template,
            "zoom": config.zoom,
            "temperature": config.temperature,
            "class_offsets": list(config.class_offsets),
            "abstain_below": config.abstain_below,
            "mirror": config.mirror,
            "calm": config.calm,
            "convention": config.convention,
            "conventions": list(config.conventions),
            "trained_on": list(config.trained_on),
        }

    def analyze(
        self,
        image: Source,
        *,
        detect: bool = True,
        max_faces: int | None = None,
        min_score: float = MIN_SCORE,
    ) -> list[FaceResult]:
        """Analyze one picture.

        Args:
            image: uint8 RGB (H, W, 3), or whatever else ``emotion.images.decode_image`` takes.
            detect: if False, the whole picture is taken as one face.
            max_faces: keep only this many, the first ones.
            min_score: lowest accepted confidence of the detector, 0..1.

        Returns:
            One result per face, in the order of ``find``; empty if there is no face.

        Raises:
            ImageError: if ``image`` is not a picture.
        """
        image = as_rgb(image)
        if not detect:
            crop, matrix = plain_crop(image)
            return self._classify([(None, crop, matrix)])
        faces = self.find(image, min_score=min_score)[:max_faces]
        return self._judge(image, faces)

    def find(
        self,
        image: npt.NDArray[np.uint8],
        *,
        min_score: float = MIN_SCORE,
        max_side: int | None = None,
    ) -> list[Face]:
        """Find the faces of a picture, see ``Detector.detect`` and ``plausible_faces``.

        Returns:
            Those that are ``RELIABLE``, the largest first; then what may be none, likewise.
        """
        found = self.detector.detect(image, min_score=min_score, max_side=max_side)
        return plausible_faces(image, found)

    def analyze_crops(self, crops: npt.NDArray[np.uint8]) -> list[FaceResult]:
        """Analyze aligned grey crops uint8 (B, 64, 64), which come from no picture."""
        return self._classify([(None, crop, np.eye(2, 3)) for crop in crops])

    def analyze_frame(
        self,
        image: Source,
        *,
        max_faces: int | None = None,
        max_side: int = FRAME_SIDE,
        min_score: float = MIN_SCORE,
    ) -> tuple[list[FaceResult], int]:
        """Analyze one frame of a video: faces are looked for on a small copy, within ms.

        Args:
            image: as ``analyze`` takes it.
            max_faces: analyze only this many, the first ones.
            max_side: longer side in px of that copy.
            min_score: lowest accepted confidence of the detector, 0..1.

        Returns:
            One result per face, in the order of ``find``, and how many faces were found.

        Raises:
            ImageError: if ``image`` is not a picture.
        """
        image = as_rgb(image)
        faces = self.find(image, min_score=min_score, max_side=max_side)
        return self._judge(image, faces[:max_faces], self.classifier), len(faces)

    def explain(self, face: FaceResult, *, fill: Fill = smooth_fill) -> CoverTest | None:
        """Say why a face got its answer, by covering its parts one by one.

        Args:
            face: what ``analyze`` returned.
            fill: what parts are covered with, see ``emotion.cover``.

        Returns:
            The cover test; None where the parts of the face are not known, because nothing was
            detected or the landmarks fit no face.
        """
        return self.explain_all([face], fill=fill)[0]

    def explain_all(
        self, faces: Sequence[FaceResult], *, fill: Fill = smooth_fill
    ) -> list[CoverTest | None]:
        """Explain several faces in one forward pass, each with its answer, see ``explain``."""
        points = [landmarks_on_crop(face) for face in faces]
        known = [at for at, landmarks in enumerate(points) if landmarks is not None]
        tests: list[CoverTest | None] = [None] * len(faces)
        if known:
            crops = np.stack([faces[at].crop for at in known])
            masks = np.stack([part_masks(one) for one in points if one is not None])
            for at, test in zip(known, self.cover(crops, masks, fill=fill), strict=True):
                tests[at] = test
        return tests

    def cover(
        self, crops: npt.NDArray[np.uint8], masks: npt.NDArray[np.bool_], *, fill: Fill
    ) -> list[CoverTest]:
        """Cover parts of crops one by one, in one forward pass with the crops as they are.

        Args:
            crops: uint8 (B, 64, 64).
            masks: bool (B, 6, 64, 64), see ``emotion.cover.part_masks``.
            fill: what parts are covered with.
        """
        batch = [
            np.concatenate([crop[None], fill(crop, parts)])
            for crop, parts in zip(crops, masks, strict=True)
        ]
        answers = self.answer(np.concatenate(batch))
        rows = answers.probabilities.reshape(len(batch), -1, len(LABELS))
        calm = None if answers.calm is None else answers.calm.reshape(len(batch), -1)
        abstain_below = self.network.config.abstain_below
        return [
            CoverTest(own[0], own[1:], parts, abstain_below, None if calm is None else calm[at])
            for at, (own, parts) in enumerate(zip(rows, masks, strict=True))
        ]

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

        Raises:
            ImageError: if ``crops`` are of another type or size.
        """
        classified = self.answer(crops)
        return classified.probabilities, classified.cams

    def answer(
        self, crops: npt.NDArray[np.uint8], classifier: Classifier | None = None
    ) -> Classified:
        """Classify crops uint8 (B, 64, 64), explain, and tell calm faces, in one forward pass.

        Args:
            crops: uint8 (B, 64, 64).
            classifier: runs the network; by default in float32.

        Raises:
            ImageError: if ``crops`` are of another type or size.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE):
            shape = "x".join(map(str, crops.shape))
            raise ImageError(
                f"Crops are uint8 of N x {CROP_SIZE} x {CROP_SIZE}, not {crops.dtype} of {shape}."
            )
        outputs, config = (classifier or self.exact)(crops), self.network.config
        probabilities = Calibration.of(config).probabilities(outputs.logits, outputs.pooled)
        calm = None if outputs.calm is None else calm_probabilities(outputs.calm, config)
        return Classified(probabilities, regular_maps(outputs.cams, config), calm)

    def _judge(
        self,
        image: npt.NDArray[np.uint8],
        faces: list[Face],
        classifier: Classifier | None = None,
    ) -> list[FaceResult]:
        size = image.shape[1], image.shape[0]
        chosen: list[tuple[Face | None, npt.NDArray[np.uint8], Matrix]] = []
        reasons: list[str | None] = []
        for face in faces:
            around = turned_around(image, face, self.detector)
            upright = around or face
            crop, matrix = self.crop(image, upright)
            chosen.append((upright, crop, matrix))
            turned = around is not None
            reasons.append(reason_for_doubt(upright, matrix, crop, size, turned=turned))
        return [
            replace(result, reason=reason, sure=result.sure and reason is None)
            for result, reason in zip(self._classify(chosen, classifier), reasons, strict=True)
        ]

    def _classify(
        self,
        faces: list[tuple[Face | None, npt.NDArray[np.uint8], Matrix]],
        classifier: Classifier | None = None,
    ) -> list[FaceResult]:
        if not faces:
            return []
        crops = np.stack([crop for _, crop, _ in faces])
        probabilities, maps, calm = self.answer(crops, classifier)
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
                calm=None if calm is None else float(calm[i]),
            )
            for i, (face, crop, matrix) in enumerate(faces)
        ]
