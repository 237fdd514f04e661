"""What HTTP and MCP give for a picture: decoded apart, analysed when it is its sender's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from emotion.ui.photo import MAX_CARDS
from emotion.ui.wire import JSON

if TYPE_CHECKING:
    from emotion.cover import CoverTest
    from emotion.result import FaceResult
    from emotion.ui.clients import Client
    from emotion.ui.demo import Services


class Analysis(NamedTuple):
    """A picture, its faces, and what became of their answers when parts were covered."""

    image: npt.NDArray[np.uint8]
    faces: list[FaceResult]
    tests: list[CoverTest | None]

    def to_json(self) -> list[JSON]:
        """Return each face as ``/classify`` gives it, see ``FaceResult.to_dict``."""
        size = {"width": self.image.shape[1], "height": self.image.shape[0]}
        return [{**face.to_dict(), "picture": size} for face in self.faces]


def analyse(
    services: Services, content: bytes, client: Client, *, detect: bool, explain: bool = False
) -> Analysis:
    """Analyse a picture file for somebody, at most 20 faces of it.

    Raises:
        ImageError: if it cannot be read.
        BusyError: if too much work is under way.
    """
    image = services.decoder.decode(content, client)
    analyzer = services.serving.analyzer  # taken once: a renewal must not come in between
    with services.gate.enter(client):
        faces = analyzer.analyze(image, detect=detect, max_faces=MAX_CARDS)
        return Analysis(image, faces, analyzer.explain_all(faces) if explain else [])
