"""Face detection: the protocol every detector follows, and the one that ships."""

from __future__ import annotations

from emotion.detect.base import Detector, Face
from emotion.detect.retinaface import RetinaFaceDetector

__all__ = ["Detector", "Face", "RetinaFaceDetector"]
