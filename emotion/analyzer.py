"""The one composition: detect, align, classify, explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

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
from emotion.errors import AlignmentError, ConfigError, ImageError, WeightsError
from emotion.followed import Followed, View
from emotion.images import Source, as_rgb, bgr_to_rgb
from emotion.labels import LABELS
from emotion.network import EmotionNet
from emotion.reliability import MIN_SCORE
from emotion.result import FaceResult, Faces
from emotion.upright import turned_around
from emotion.weights import Loaded, default_spec, load

if TYPE_CHECKING:
    from emotion.video.file import VideoSource
    from emotion.video.stream import StreamFrame

FRAME_SIDE = 320
"""Longer side in px of the copy on which the faces of a live frame are looked for."""

_BATCH = 64  # faces in a forward pass; more at a time take memory and save nothing


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


class _Cut(NamedTuple):
    """A face as the network sees it, and why no answer about it is sure."""

    face: Face | None
    crop: npt.NDArray[np.uint8]
    matrix: Matrix
    reason: str | None = None
    view: View = View.BOTH


class _Found(NamedTuple):
    """The faces of a picture that are analysed, how many there are, and where was looked."""

    cuts: list[_Cut]
    total: int
    whole: bool = True


class Analyzer:
    """Finds, aligns, classifies and explains the faces of a picture.

    Threads may share it: no call changes it, and each engine lets its calls take turns. It can be
    pickled if it was made from weights: the other process loads them anew, so start processes by
    ``spawn``; OpenVINO's threads do not survive a fork.

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the address and the digest of the weights.

        Raises:
            ConfigError: if it was not made from weights that another process could load.
        """
        if self.source is None:
            raise ConfigError(
                "This analyzer was put together by hand, so no other process can load it; make it "
                "with Analyzer.from_weights(SPEC), or make one in each process."
            )
        spec, revision = self.source.spec, self.source.revision
        if revision is not None:
            spec = f"{spec.partition('@')[0]}@{revision}"
        return _load_again, (spec, self.network.config.convention, self.source.digest)

    @overload
    def analyze(
        self,
        image: Source,
        *,
        detect: bool = True,
        max_faces: int | None = None,
        min_score: float = MIN_SCORE,
        max_side: int | None = None,
        exact: bool = True,
        known: Followed | None = None,
        bgr: bool = False,
    ) -> Faces: ...

    @overload
    def analyze(
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        detect: bool = True,
        max_faces: int | None = None,
        min_score: float = MIN_SCORE,
        max_side: int | None = None,
        exact: bool = True,
        bgr: bool = False,
    ) -> list[Faces]: ...

    def analyze(
        self,
        image: Source | list[Any] | tuple[Any, ...],
        *,
        detect: bool = True,
        max_faces: int | None = None,
        min_score: float = MIN_SCORE,
        max_side: int | None = None,
        exact: bool = True,
        known: Followed | None = None,
        bgr: bool = False,
    ) -> Faces | list[Faces]:
        """Analyze one picture, or a list of pictures whose faces are classified together.

        Args:
            image: uint8 RGB (H, W, 3), or whatever else ``emotion.images.decode_image`` takes; or a
                list of such pictures, of any sizes.
            detect: if False, the whole picture is taken as one face.
            max_faces: keep only this many of each picture, the first ones.
            min_score: lowest accepted confidence of the detector, 0..1.
            max_side: longer side in px of the copy on which faces are looked for; None takes what
                finds the most, ``FRAME_SIDE`` is enough for a frame before a camera.
            exact: if False, what serves live classifies: in 8 bits where that is faster.
            known: faces of the video's frame before, see ``Tracker.known``: they may be looked for
                around their places, and everywhere only if one of them is lost, and the network
                may see of them the crop or its mirror image alone.
            bgr: the channels of arrays are blue, green, red, as OpenCV reads them.

        Returns:
            One result per face, in the order of ``find``, and how many were found; empty if there
            is no face. For a list of pictures a list of such results.

        Raises:
            ImageError: if a picture is none; of a list, the sentence says which.
        """
        classifier = self.exact if exact else self.classifier

        def cut_out(one: Any) -> _Found:
            pixels = as_rgb(bgr_to_rgb(one) if bgr else one)
            if not detect:
                return _Found([_Cut(None, *plain_crop(pixels))], 1)
            again = self._find_again(pixels, known, min_score, max_side)
            if again is not None:
                cuts = [self._cut(pixels, face, known, stands=True) for face in again]
                return _Found(cuts, len(again), whole=False)
            faces = self.find(pixels, min_score=min_score, max_side=max_side)
            cuts = [self._cut(pixels, face, known) for face in faces[:max_faces]]
            return _Found(cuts, len(faces))

        if not isinstance(image, list | tuple):
            cuts, total, whole = cut_out(image)
            return Faces(self._classify(cuts, classifier), total, whole=whole)
        pictures = []
        for number, one in enumerate(image, 1):
            try:
                pictures.append(cut_out(one))
            except ImageError as error:
                raise ImageError(f"Picture {number} of {len(image)}: {error}") from None
        results = iter(self._classify([cut for own in pictures for cut in own.cuts], classifier))
        return [Faces([next(results) for _ in own.cuts], own.total) for own in pictures]

    def stream(
        self,
        video: VideoSource,
        *,
        every: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
        min_score: float = MIN_SCORE,
    ) -> Iterator[StreamFrame]:
        """Analyze a video frame by frame and follow its faces, at constant memory.

        Args:
            video: a file, a camera (``0`` or ``/dev/video0``), or the address of a stream.
            every: seconds from one analysed frame to the next; 0 takes all.
            start: seconds from the start of the video at which to begin.
            end: seconds at which to stop; None goes on to its end.
            min_score: lowest accepted confidence of the detector, 0..1.

        Yields:
            ``(image, time_s, faces)``: uint8 RGB (H, W, 3); seconds from the start of the video;
            the faces with their tracks, smoothed, see ``emotion.tracker.TrackedFace``. The id of a
            face is 0 until its track opens, in its third frame.

        Raises:
            ImageError: if it is not a video, or cannot be reached.
            ConfigError: if the times cannot be.
        """
        from emotion.video.stream import follow  # the codecs, which pictures do not need

        return follow(self, video, every=every, start=start, end=end, min_score=min_score)

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
        return self._classify([_Cut(None, crop, np.eye(2, 3)) for crop in crops])

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
        self,
        crops: npt.NDArray[np.uint8],
        classifier: Classifier | None = None,
        views: Sequence[View] | None = None,
    ) -> Classified:
        """Classify crops uint8 (B, 64, 64), explain, and tell calm faces, in one forward pass.

        Args:
            crops: uint8 (B, 64, 64).
            classifier: runs the network; by default in float32.
            views: what it sees of each crop, see ``Classifier``.

        Raises:
            ImageError: if ``crops`` are of another type or size.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE):
            shape = "x".join(map(str, crops.shape))
            raise ImageError(
                f"Crops are uint8 of N x {CROP_SIZE} x {CROP_SIZE}, not {crops.dtype} of {shape}."
            )
        outputs, config = (classifier or self.exact)(crops, views), self.network.config
        probabilities = Calibration.of(config).probabilities(outputs.logits, outputs.pooled)
        calm = None if outputs.calm is None else calm_probabilities(outputs.calm, config)
        return Classified(probabilities, regular_maps(outputs.cams, config), calm)

    def _find_again(
        self,
        image: npt.NDArray[np.uint8],
        known: Followed | None,
        min_score: float,
        max_side: int | None,
    ) -> list[Face] | None:
        """Find all of the known faces around their places, or return None."""
        if known is None or not known.around:
            return None
        before = known.faces
        found = self.detector.detect_around(image, before, min_score=min_score, max_side=max_side)
        faces = plausible_faces(image, found or [])
        return faces if len(faces) == len(before) else None

    def _cut(
        self,
        image: npt.NDArray[np.uint8],
        face: Face,
        known: Followed | None,
        *,
        stands: bool = False,
    ) -> _Cut:
        around = None if stands else turned_around(image, face, self.detector)
        upright = around or face
        crop, matrix = self.crop(image, upright)
        size, turned = (image.shape[1], image.shape[0]), around is not None
        reason = reason_for_doubt(upright, matrix, crop, size, turned=turned)
        return _Cut(upright, crop, matrix, reason, known.view(upright) if known else View.BOTH)

    def _classify(
        self, cuts: Sequence[_Cut], classifier: Classifier | None = None
    ) -> list[FaceResult]:
        results = []
        for start in range(0, len(cuts), _BATCH):
            batch = cuts[start : start + _BATCH]
            crops = np.stack([cut.crop for cut in batch])
            probabilities, maps, calm = self.answer(crops, classifier, [cut.view for cut in batch])
            sure = probabilities.max(1) >= self.network.config.abstain_below
            results += [
                FaceResult(
                    box=cut.face.box if cut.face else None,
                    landmarks=cut.face.landmarks if cut.face else None,
                    score=cut.face.score if cut.face else None,
                    probabilities=probabilities[i],
                    cams=maps[i],
                    crop=cut.crop,
                    matrix=cut.matrix,
                    sure=bool(sure[i]) and cut.reason is None,
                    calm=None if calm is None else float(calm[i]),
                    reason=cut.reason,
                )
                for i, cut in enumerate(batch)
            ]
        return results


def _load_again(spec: str, convention: str, digest: str) -> Analyzer:
    """Make the analyzer that was pickled in another process.

    Raises:
        WeightsError: if other weights lie there by now.
    """
    loaded = load(spec, convention)
    if loaded.digest != digest:
        raise WeightsError(
            f"The weights {spec} are others than those of the analyzer that was pickled; make a "
            "new one."
        )
    return Analyzer.from_loaded(loaded)
