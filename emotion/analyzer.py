"""The one composition: detect, align, classify, explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from emotion.classifier import Classified, Classifier
from emotion.cover import CoverTest, cover_faces
from emotion.cutting import Cut, Cutter, Found, whole_picture
from emotion.detect import Detector, RetinaFaceDetector
from emotion.engine import TorchEngine, choose
from emotion.errors import ConfigError, ImageError, WeightsError
from emotion.fills import Fill, smooth_fill
from emotion.followed import Followed
from emotion.images import Source, as_rgb, bgr_to_rgb
from emotion.network import EmotionNet
from emotion.reliability import MIN_SCORE
from emotion.result import FaceResult, Faces
from emotion.weights import Loaded, default_spec, load

if TYPE_CHECKING:
    from emotion.video.file import VideoSource
    from emotion.video.stream import StreamFrame

FRAME_SIDE = 320
"""Longer side in px of the copy on which the faces of a live frame are looked for."""

_BATCH = 64  # faces in a forward pass; more at a time take memory and save nothing


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
        exact: runs it in float32 and with all threads, where ``classifier`` does not: pictures and
            explanations are worth the time, frames of a video are not.
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
        self.cutter = Cutter(detector, network.config.zoom)
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
        files = loaded.folder, loaded.digest
        classifier = Classifier(loaded.network, engine, files, shared=True)
        alike = classifier.exact and classifier.lanes == 1
        exact = None if alike else Classifier(loaded.network, engine)
        detector = RetinaFaceDetector(engine=engine)
        analyzer = cls(loaded.network, detector, loaded.spec, classifier, exact)
        analyzer.source = loaded
        return analyzer

    @property
    def description(self) -> dict[str, Any]:
        """What runs: weights, engine, labels and the preprocessing they were trained with."""
        return {
            "weights": self.weights,
            "revision": self.source.revision if self.source else None,
            "notice": self.source.notice if self.source else None,
            "engine": self.classifier.engine,
            **self.network.config.facts(),
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
            One result per face, in the order of ``Cutter.find``, and how many were found; empty if
            there is no face. For a list of pictures a list of such results.

        Raises:
            ImageError: if a picture is none; of a list, the sentence says which.
        """
        classifier = self.exact if exact else self.classifier

        def cut_out(one: Any) -> Found:
            pixels = as_rgb(bgr_to_rgb(one) if bgr else one)
            if not detect:
                return whole_picture(pixels)
            return self.cutter.cut_out(pixels, max_faces, min_score, max_side, known)

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

        bound = self.network.config.abstain_below
        return follow(self, video, bound, every=every, start=start, end=end, min_score=min_score)

    def analyze_crops(self, crops: npt.NDArray[np.uint8]) -> list[FaceResult]:
        """Analyze aligned grey crops uint8 (B, 64, 64), which come from no picture."""
        return self._classify([Cut(None, crop, np.eye(2, 3)) for crop in crops], self.exact)

    def explain(self, face: FaceResult, *, fill: Fill = smooth_fill) -> CoverTest | None:
        """Say why a face got its answer, by covering its parts one by one.

        Args:
            face: what ``analyze`` returned.
            fill: what parts are covered with, see ``emotion.fills``.

        Returns:
            The cover test; None where the parts of the face are not known, because nothing was
            detected or the landmarks fit no face.
        """
        return self.explain_all([face], fill=fill)[0]

    def explain_all(
        self, faces: Sequence[FaceResult], *, fill: Fill = smooth_fill
    ) -> list[CoverTest | None]:
        """Explain several faces in one forward pass, each with its answer, see ``explain``."""
        return cover_faces(self.exact.classify, faces, fill, self.network.config.abstain_below)

    def classify(self, crops: npt.NDArray[np.uint8]) -> Classified:
        """Classify and explain crops uint8 (B, 64, 64) in float32, see ``Classifier.classify``.

        Raises:
            ImageError: if ``crops`` are of another type or size.
        """
        return self.exact.classify(crops)

    def _classify(self, cuts: Sequence[Cut], classifier: Classifier) -> list[FaceResult]:
        results = []
        for start in range(0, len(cuts), _BATCH):
            batch = cuts[start : start + _BATCH]
            crops = np.stack([cut.crop for cut in batch])
            probabilities, maps, calm = classifier.classify(crops, [cut.view for cut in batch])
            sure = probabilities.max(1) >= self.network.config.abstain_below
            results += [
                cut.answered(
                    probabilities[i],
                    maps[i],
                    sure=bool(sure[i]),
                    calm=None if calm is None else float(calm[i]),
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
