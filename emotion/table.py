"""Faces as rows of a table: of a CSV file, of pandas, and of ``datasets``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from emotion.errors import ConfigError, ImageError
from emotion.labels import LABELS
from emotion.result import PIXEL_DECIMALS, FaceResult

if TYPE_CHECKING:
    import pandas

    from emotion.analyzer import Analyzer

BOX = ("x", "y", "width", "height")
"""Columns of a box: left, top, width and height in px of the picture."""

COLUMNS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("label", "answer", "sure", "calm", "score", "reason")},
    "box": BOX,
}
"""What a CSV file of pictures may hold besides the probabilities, and the names of its columns."""

_SAID = ("label", "answer", "sure", "reason", "calm", "score")

ROW = (*_SAID, *BOX, *LABELS)
"""Columns of ``row``, in order."""


def csv_probabilities(face: FaceResult) -> list[str]:
    """Return the six probabilities as a CSV file has them, with four decimals."""
    return [f"{value:.4f}" for value in face.probabilities]


def csv_cells(face: FaceResult, columns: Sequence[str]) -> list[str]:
    """Return the cells of further columns.

    Args:
        face: one face.
        columns: names out of ``COLUMNS``.

    Returns:
        ``label``, ``answer`` and ``reason`` in words, ``sure`` as 1 or 0, ``calm`` and ``score``
        with four decimals, the box in px with one; empty where there is none.
    """
    cells: list[str] = []
    for name in columns:
        if name == "box":
            place = face.rectangle
            cells += [""] * 4 if place is None else [f"{value:.1f}" for value in place]
            continue
        value = getattr(face, name)
        if isinstance(value, bool):
            value = int(value)
        cells.append(
            "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        )
    return cells


def row(face: FaceResult) -> dict[str, Any]:
    """Return a face as one flat row: what ``FaceResult.to_dict`` says, a column per number."""
    said = face.to_dict()
    box = face.rectangle
    place = [None] * 4 if box is None else [round(value, PIXEL_DECIMALS) for value in box]
    return {
        **{name: said[name] for name in _SAID},
        **dict(zip(BOX, place, strict=True)),
        **said["probabilities"],
    }


def to_frame(results: Iterable[Any]) -> pandas.DataFrame:
    """Make a pandas DataFrame, a row per face.

    Args:
        results: faces, as ``Analyzer.analyze`` returns them for a picture; or lists of faces, as it
            does for a list of pictures; or the frames of ``Analyzer.stream``.

    Returns:
        The columns of ``row``. Before them ``picture``, counted from 0, for a list of pictures; or
        ``time``, in seconds, and ``face``, the number of the track, for a stream, with the smoothed
        answer; faces whose track is not open yet are left out.

    Raises:
        ConfigError: if pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ConfigError(
            f"A table needs pandas, which does not load ({error}); install it: pip install pandas"
        ) from None
    rows: list[dict[str, Any]] = []
    before: tuple[str, ...] = ()
    for number, item in enumerate(results):
        if isinstance(item, FaceResult):
            rows.append(row(item))
        elif isinstance(item, list):
            before = ("picture",)
            rows += [{"picture": number, **row(face)} for face in item]
        else:
            before = ("time", "face")
            rows += [
                {"time": item.time_s, "face": one.id, **row(one.face), "answer": one.answer}
                for one in item.faces
                if one.id
            ]
    return pandas.DataFrame(rows, columns=[*before, *ROW])


def emotion_columns(
    batch: Mapping[str, Sequence[Any]],
    *,
    image: str = "image",
    weights: str | None = None,
    detect: bool = True,
) -> dict[str, list[Any]]:
    """Classify the largest face of every picture of a batch, for ``datasets.Dataset.map``.

    ``dataset.map(emotion_columns, batched=True, num_proc=2)``; options go into ``fn_kwargs``. All
    it takes can be sent to another machine: each process loads the weights once. Cast the column to
    ``Image(decode=False)``, so that a damaged picture is a row and does not end the map.

    Args:
        batch: columns of a dataset, as lists.
        image: column of the pictures: bytes with a path as ``datasets`` stores them, or whatever
            ``emotion.images.decode_image`` takes.
        weights: SPEC, see ``emotion.weights.load``; None takes the default.
        detect: if False, each whole picture is one face.

    Returns:
        The columns of ``row`` and ``error``, a sentence where a picture cannot be read. All but
        ``error`` are None where there is no face.

    Raises:
        ConfigError: if there is no such column.
    """
    if image not in batch:
        raise ConfigError(f"There is no column {image!r}; name one of {', '.join(batch)}.")
    analyzer = _of_process(weights, os.getpid())
    rows: list[dict[str, Any]] = []
    for picture in batch[image]:
        found: dict[str, Any] = {"error": None}
        try:
            faces = analyzer.analyze(_stored(picture), detect=detect, max_faces=1)
            found |= row(faces[0]) if faces else {}
        except ImageError as error:
            found["error"] = str(error)
        rows.append(found)
    return {name: [found.get(name) for found in rows] for name in (*ROW, "error")}


def _stored(picture: Any) -> Any:
    """Return the bytes, or else the path, of a picture as ``datasets`` stores it."""
    if not isinstance(picture, dict):
        return picture
    return picture["path"] if picture.get("bytes") is None else picture["bytes"]


@lru_cache(maxsize=1)
def _of_process(weights: str | None, _pid: int) -> Analyzer:
    """Load the analyzer of this process; one that a fork took along has lost its threads."""
    from emotion.analyzer import Analyzer

    return Analyzer.from_weights(weights)
