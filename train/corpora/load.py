"""The one entrance to the corpora: a name and a path become splits, counts and findings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import DatasetDict, concatenate_datasets

from emotion.errors import ConfigError, DataError
from emotion.labels import LABELS
from train.corpora import affectnet, fer2013, hub, numbering, own, raf_db, synthetic
from train.corpora.archive import Archive, open_archive
from train.corpora.causes import find_cause
from train.corpora.place import Place, parse_place
from train.corpora.published import differences, splits_of
from train.corpora.schema import NO_LABEL, OTHER, SOURCES, Finding, Reading, build_dataset
from train.corpora.tables import open_tables

ALL_SPLITS = "all"
"""Selects every split that a corpus has."""

_READERS = {"fer2013": fer2013.read, "raf-db": raf_db.read, "affectnet": affectnet.read}
_NUMBERED = ("fer2013", "raf-db")


@dataclass(frozen=True, slots=True)
class Corpus:
    """A loaded corpus.

    Attributes:
        name: one of ``SOURCES``, or what its owner calls it.
        layout: how it was laid out, for reports.
        splits: the corpus's split words with the rows of the six expressions, and ``other`` with
            the neutral and contempt rows of all of them; each row keeps its own ``split``.
        counts: split -> the corpus's own label -> images.
        class_counts: split -> canonical name -> images.
        differences: one sentence per split whose counts are not the published ones.
        findings: everything left out or noteworthy; a zero-byte image is listed and stays a row.
    """

    name: str
    layout: str
    splits: DatasetDict
    counts: dict[str, dict[str, int]]
    class_counts: dict[str, dict[str, int]]
    differences: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def totals(self) -> dict[str, int]:
        """Images of the six expressions per split."""
        return {
            split: sum(counts.get(label, 0) for label in LABELS)
            for split, counts in self.class_counts.items()
        }


def load_corpus(
    name: str,
    path: str | os.PathLike[str] | None,
    *,
    splits: Sequence[str] | None = None,
    num_proc: int = 1,
) -> Corpus:
    """Load a corpus from a zip, a folder or the Hub, or draw the synthetic one.

    Args:
        name: ``fer2013``, ``raf-db``, ``affectnet`` or ``synthetic``, or any with ``folder:``.
        path: a zip, a folder, or ``hf://datasets/USER/NAME[@REVISION]``, each maybe with
            ``folder:`` before it and a map behind it, see ``train.corpora.place``; for
            ``synthetic`` the number of images, or ``None``.
        splits: the corpus's own words; ``None`` or a sequence with ``all`` in it is everything.
        num_proc: processes that convert a Hub repository; archives are fast enough with one.

    Returns:
        The corpus, every dataset in it with ``FEATURES``; images are not decoded.

    Raises:
        ConfigError: if the name is unknown, or the number is none.
        DataError: if the path, its layout or a split is not there.
    """
    if name == "synthetic":
        count = synthetic.parse_count(None if path is None else str(path))
        return _from_reading(name, synthetic.read(count), None, splits)
    if path is None:
        raise ConfigError(f"{name} needs a path; write {name}=PATH.")
    place = parse_place(path)
    if place.kind != "published":
        return _from_reading(name, *_read_own(place), splits)
    if name not in SOURCES:
        raise ConfigError(
            f"{name!r} is no corpus; known are {', '.join(SOURCES)}, and any name for pictures of "
            f"your own: {name}=folder:PATH."
        )
    if place.path.startswith("hf://"):
        return _from_hub(name, place, splits, num_proc)
    table = place.path.lower().endswith(".csv")
    archive = open_tables(place.path) if table else open_archive(place.path)
    return _from_reading(name, _READERS[name](archive, place.names), archive, splits)


def _read_own(place: Place) -> tuple[Reading, Archive]:
    """Read anybody's pictures from a zip, a folder, a csv or a repository of such files."""
    location: str | os.PathLike[str] = place.path
    if place.path.startswith("hf://"):
        found = hub.fetch_archive(place.path)
        if found is None:
            raise DataError(
                f"{location} holds rows, not pictures in class folders; fetch it and lay it out so."
            )
        location = found
    file = Path(location).expanduser()
    if file.suffix.lower() == ".csv":
        archive = open_archive(file.parent)
        if file.name not in archive.sizes:
            raise DataError(f"{location} does not exist; give a csv with the columns path, label.")
        return own.read(archive, place.names, file.name), archive
    if place.kind == "csv":
        raise DataError(f"{location} is no csv; give NAME=csv:FILE.csv, or NAME=folder:{location}.")
    archive = open_archive(location)
    return own.read(archive, place.names), archive


def _from_reading(
    name: str, reading: Reading, archive: Archive | None, splits: Sequence[str] | None
) -> Corpus:
    present = {sample.split for sample in reading.samples}
    if not present:
        kinds = Counter(finding.kind for finding in reading.findings).most_common(3)
        found = ", ".join(f"{count} times {kind}" for kind, count in kinds) or "nothing at all"
        cause = find_cause(archive) if archive else None
        where = archive.location if archive else name
        raise DataError(
            f"{where} holds no labelled image that can be used ({found}"
            + (f"; {cause})." if cause else ").")
        )
    chosen = _choose(name, [word for word in splits_of(name) if word in present], splits)
    findings = list(reading.findings)
    counts: dict[str, dict[str, int]] = {}
    class_counts: dict[str, dict[str, int]] = {}
    data = DatasetDict()
    for split in chosen:
        members = [sample for sample in reading.samples if sample.split == split]
        counts[split] = dict(sorted(Counter(s.original_label for s in members).items()))
        class_counts[split] = dict(Counter(sample.label for sample in members))
        expressive = [sample for sample in members if sample.label in LABELS]
        data[split] = build_dataset(expressive, name, archive, findings)
    rest = [s for s in reading.samples if s.split in chosen and s.label not in LABELS]
    data[OTHER] = build_dataset(rest, name, archive, findings)
    different = differences(name, _published(reading, class_counts)) if reading.official else ()
    return Corpus(name, reading.layout, data, counts, class_counts, different, tuple(findings))


def _published(
    reading: Reading, class_counts: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Count as the publishers did, with the pictures that show no face."""
    whole = {split: Counter(counts) for split, counts in class_counts.items()}
    for sample in reading.no_faces:
        if sample.split in whole:
            whole[sample.split][sample.label] += 1
    return {split: dict(counts) for split, counts in whole.items()}


def _choose(name: str, present: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    words = [wanted] if isinstance(wanted, str) else list(wanted or [ALL_SPLITS])
    if ALL_SPLITS in words:
        return list(present)
    for word in words:
        if word not in present:
            raise DataError(
                f"{name} has no split {word!r} here; it has {', '.join(present)}, "
                f"and {ALL_SPLITS} selects them all."
            )
    return [word for word in present if word in words]


def _from_hub(name: str, where: Place, splits: Sequence[str] | None, num_proc: int) -> Corpus:
    location = where.path
    place = hub.fetch_archive(location)
    if place is not None:
        archive = open_archive(place)
        try:
            return _from_reading(name, _READERS[name](archive, where.names), archive, splits)
        except DataError:
            if archive.members is not None:
                raise
            # Not the corpus's own layout; datasets reads any folders named by split and class.
    loaded = hub.load_repository(name, location)
    chosen = _choose(name, [word for word in splits_of(name) if word in loaded], splits)
    rows = {split: hub.unify(loaded[split], name, split, num_proc, where.names) for split in chosen}
    data, labels = DatasetDict(), {split: np.array(rows[split]["label"]) for split in chosen}
    for split in chosen:
        data[split] = rows[split].select(np.flatnonzero(labels[split] != NO_LABEL))
    data[OTHER] = concatenate_datasets(
        [rows[split].select(np.flatnonzero(labels[split] == NO_LABEL)) for split in chosen]
    )
    counts = {split: dict(Counter(rows[split]["original_label"])) for split in chosen}
    if name in _NUMBERED:
        numbering.check_numbers(name, counts, location, where.names)
    class_counts = {split: hub.count_classes(name, counts[split], where.names) for split in chosen}
    different = differences(name, class_counts)
    return Corpus(name, "Hub repository", data, counts, class_counts, different, ())
