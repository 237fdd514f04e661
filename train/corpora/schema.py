"""The one schema that every corpus is brought into, and how its rows are built."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetInfo, Features, Image, List, Value
from PIL import Image as PILImage

from emotion.errors import DataError
from emotion.labels import CORPUS_LABELS, LABELS
from train.corpora.archive import Archive, read_location
from train.corpora.expressions import are_explained, plain

SOURCES: tuple[str, ...] = tuple(CORPUS_LABELS)
"""Names of the corpora that have layouts of their own; anybody's pictures have another name."""

NO_LABEL = -1
"""``label`` of a row that shows none of the six expressions; ``ClassLabel`` allows this value."""

OTHER = "other"
"""Key under which a corpus keeps its neutral and contempt rows; they are never trained on."""

FEATURES = Features(
    {
        # Undecoded: a damaged image is found, counted and set aside by whoever decodes it.
        "image": Image(decode=False),
        "label": ClassLabel(names=list(LABELS)),
        "source": Value("string"),
        "split": Value("string"),
        "sample_id": Value("string"),
        "original_label": Value("string"),
        "expression": Value("string"),
        "votes": List(Value("int32"), length=10),
        "calm": Value("float32"),
        "second_label": Value("string"),
        "box": List(Value("float32"), length=4),
        "landmarks": List(Value("float32"), length=10),
    }
)
"""Columns of every corpus, the same for all, so that they concatenate without a cast.

``label``: 0..5, or ``NO_LABEL``. ``source``: name of the corpus. ``split``: its own word.
``sample_id``: unique within its source. ``original_label``: its own word. ``expression``: the
canonical name of that, neutral and contempt included. ``votes``: how many taggers gave each answer
of ``train.corpora.ferplus.VOTES``, or null. ``calm``: how likely the face is neutral, 0..1, see
``calm_share``. ``second_label``: another annotation's canonical name, neutral and contempt
included, or null. ``box``: x0, y0, x1, y1 in pixels, or null. ``landmarks``: x, y in pixels of left
eye, right eye, nose tip, left and right mouth corner as seen in the image, or null.
"""

EMBED_LIMIT = 2**30
"""Corpora with more image bytes than this keep paths in the image column instead of bytes."""

_CHUNK = 4096  # rows per Arrow chunk: keeps each binary buffer far below Arrow's 2 GiB


def class_indices(names: Iterable[str | None]) -> npt.NDArray[np.int64]:
    """Map canonical names to values of ``label``, and everything else to ``NO_LABEL``."""
    known = {name: index for index, name in enumerate(LABELS)}
    return np.array([known.get(name or "", NO_LABEL) for name in names], np.int64)


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated image, before it becomes a row.

    Attributes:
        sample_id: stable name, unique within the corpus.
        split: the corpus's own word.
        original_label: the corpus's own name or id of the expression.
        label: its canonical name, one of ``LABELS`` or ``OTHER_LABELS``.
        path: where the image lies in the archive, or the name it would have.
        image: encoded image, if it does not lie in the archive as a file.
        relative_box: x0, y0, x1, y1 as shares of width and height.
        box: the same in pixels; at most one of the two is set.
        landmarks: ten numbers as in ``FEATURES``.
        votes: how many taggers gave each answer of ``train.corpora.ferplus.VOTES``.
        second_label: canonical name that another annotation gives.
    """

    sample_id: str
    split: str
    original_label: str
    label: str
    path: str
    image: bytes | None = None
    relative_box: tuple[float, ...] | None = None
    box: tuple[float, ...] | None = None
    landmarks: tuple[float, ...] | None = None
    votes: tuple[int, ...] | None = None
    second_label: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a corpus that was left out, or kept although it is not as it should be.

    Attributes:
        kind: what it is; findings are counted by it.
        where: file, and line where there is one.
        detail: what was found and what was done about it.
    """

    kind: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one layout's reader found in an archive.

    Attributes:
        layout: name of the recognised layout.
        samples: every labelled image.
        findings: everything that is not a labelled image but should be.
        official: whether the published counts apply to this layout.
        no_faces: labelled pictures that show no face; they count among the published ones, and
            nothing is learnt from them.
    """

    layout: str
    samples: list[Sample]
    findings: list[Finding]
    official: bool = True
    no_faces: tuple[Sample, ...] = ()


def canonical_label(
    corpus: str, original: str, names: Mapping[str, str] | None = None
) -> str | None:
    """Return the canonical name of a corpus's own label, or ``None`` if it has no such label.

    Args:
        corpus: a published one.
        original: its own word or number.
        names: words and numbers that the user explained, in lower case. They come first, and with
            one number explained the others mean nothing any more.
    """
    word = plain(original)
    if names and (word in names or (word.isdecimal() and are_explained(names))):
        return names.get(word)
    return CORPUS_LABELS[corpus].get(word)


def rank(seed: int, sample_id: str) -> bytes:
    """Return what puts samples in a drawn order that does not hang on that of the files."""
    return hashlib.sha256(f"{seed}:{sample_id}".encode()).digest()


def label_id(canonical: str) -> int:
    """Return the class index of a canonical name; ``NO_LABEL`` for neutral and contempt."""
    return LABELS.index(canonical) if canonical in LABELS else NO_LABEL


def calm_share(
    label: str, votes: Sequence[int] | None = None, second_label: str | None = None
) -> float:
    """Say how likely a face is neutral, 0..1, from everything that was said about it.

    Args:
        label: its canonical name.
        votes: taggers' answers, see ``train.corpora.ferplus.VOTES``.
        second_label: another annotation's canonical name.

    Returns:
        The share of votes for neutral; without votes the share of the labels that say neutral.
    """
    if votes and sum(votes):
        return votes[0] / sum(votes)
    said = [name for name in (label, second_label) if name is not None]
    return said.count("neutral") / len(said)


def build_dataset(
    samples: Sequence[Sample], source: str, archive: Archive | None, findings: list[Finding]
) -> Dataset:
    """Read the images of ``samples`` and make an in-memory dataset with ``FEATURES``.

    Images that cannot be read stay as rows with empty bytes and are added to ``findings``.
    """
    total = sum(archive.sizes.get(sample.path, 0) for sample in samples) if archive else 0
    embed = total <= EMBED_LIMIT
    rows = iter(samples)
    batches = []
    while chunk := list(islice(rows, _CHUNK)):
        columns = _columns(chunk, source, archive, embed, findings)
        batches.append(pa.Table.from_pydict(columns, schema=FEATURES.arrow_schema))
    table = pa.concat_tables(batches) if batches else FEATURES.arrow_schema.empty_table()
    return Dataset(table, info=DatasetInfo(features=FEATURES))


def image_bytes(image: Mapping[str, Any]) -> bytes:
    """Return the encoded image of a row's ``image`` cell, embedded or by its path.

    Raises:
        DataError: if the file that the cell names is gone or damaged.
    """
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    return read_location(image["path"])


def _columns(
    samples: Iterable[Sample],
    source: str,
    archive: Archive | None,
    embed: bool,
    findings: list[Finding],
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in FEATURES}
    for sample in samples:
        image = _image(sample, archive, embed, findings)
        values = {
            "image": image,
            "label": label_id(sample.label),
            "source": source,
            "split": sample.split,
            "sample_id": sample.sample_id,
            "original_label": sample.original_label,
            "expression": sample.label,
            "votes": sample.votes,
            "calm": calm_share(sample.label, sample.votes, sample.second_label),
            "second_label": sample.second_label,
            "box": sample.box or _pixel_box(sample, image),
            "landmarks": sample.landmarks,
        }
        for name, value in values.items():
            columns[name].append(value)
    return columns


def _image(
    sample: Sample, archive: Archive | None, embed: bool, findings: list[Finding]
) -> dict[str, Any]:
    if sample.image is not None or archive is None:
        return {"bytes": sample.image, "path": sample.path}
    if not archive.sizes[sample.path]:
        findings.append(Finding("zero-byte image", sample.path, "the file is empty"))
    if not embed:
        return {"bytes": None, "path": archive.locate(sample.path)}
    try:
        return {"bytes": archive.read(sample.path), "path": sample.path}
    except DataError as error:
        findings.append(Finding("unreadable image", sample.path, str(error)))
        return {"bytes": b"", "path": sample.path}


def _pixel_box(sample: Sample, image: Mapping[str, Any]) -> tuple[float, ...] | None:
    if sample.relative_box is None:
        return None
    try:
        with PILImage.open(io.BytesIO(image_bytes(image))) as picture:
            width, height = picture.size
    except (OSError, DataError, ValueError, SyntaxError, PILImage.DecompressionBombError):
        return None  # the row stays; whoever decodes it sets it aside
    x0, y0, x1, y1 = sample.relative_box
    return x0 * width, y0 * height, x1 * width, y1 * height
