"""Preparation: every corpus becomes aligned 64x64 faces on disk, once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset, DatasetDict, concatenate_datasets
from datasets.utils.logging import disable_progress_bar
from tqdm import tqdm

import emotion.align
import emotion.detect.retinaface
import emotion.images
import train.alignment
from emotion.align import CROP_SIZE
from emotion.detect.retinaface import MOBILENET_WEIGHTS
from emotion.errors import ConfigError, DataError
from emotion.files import write_text
from train.alignment import PREPARED, AlignConfig, align_rows
from train.corpora import Corpus, image_bytes, load_corpus, parse_corpus
from train.corpora.dedup import (
    THUMBNAIL_SIDE,
    Duplicates,
    group,
    near_duplicates,
    resolve,
    thumbnail,
)
from train.corpora.published import TRAINING_SPLIT
from train.report import CorpusReport, Report
from train.report_page import to_html

MAX_UNREADABLE = 0.01
"""Share of unreadable pictures above which a corpus is taken for damaged and the run stops."""

_CHUNK = 4096  # rows per cache file: what a killed run may lose


@dataclass(frozen=True)
class PrepareConfig:
    """What is prepared, and how.

    Attributes:
        corpora: NAME=PATH for each corpus.
        out: folder that gets one folder per corpus, ``report.json`` and ``report.html``.
        align: how pictures become crops.
        processes: worker processes.
    """

    corpora: tuple[str, ...]
    out: Path
    align: AlignConfig
    processes: int = 2


def prepare(config: PrepareConfig) -> Report:
    """Align every picture of every corpus, drop duplicates from the training side, and report.

    A second run with the same input returns the old report; a killed run continues where it was.

    Raises:
        ConfigError: if a corpus or an option is unknown.
        DataError: if a corpus cannot be read, more than 1 % of its pictures are unreadable, or
            ``out`` cannot be written.
    """
    chosen = [parse_corpus(text) for text in config.corpora]
    names = [name for name, _ in chosen]
    if len(set(names)) < len(names):
        raise ConfigError(f"A corpus is named twice ({', '.join(names)}); name each one once.")
    loaded = [load_corpus(name, path, num_proc=config.processes) for name, path in chosen]
    return prepare_corpora(loaded, config)


def prepare_corpora(corpora: Sequence[Corpus], config: PrepareConfig) -> Report:
    """Prepare corpora that are loaded already, see ``prepare``."""
    key = _fingerprint(corpora, config.align)
    finished = _read_report(config.out)
    if finished and finished.fingerprint == key:
        return finished
    try:
        return _prepare(corpora, config, key)
    except OSError as error:
        raise DataError(
            f"{config.out} cannot be written ({error.strerror or error}); free some space or "
            "choose another --out. What is done so far is kept."
        ) from None


def _prepare(corpora: Sequence[Corpus], config: PrepareConfig, key: str) -> Report:
    config.out.mkdir(parents=True, exist_ok=True)
    aligned = {corpus.name: _align_corpus(corpus, config) for corpus in corpora}
    reports = {corpus.name: CorpusReport.of(corpus, aligned[corpus.name]) for corpus in corpora}
    readable = {
        name: DatasetDict({split: _readable(rows) for split, rows in splits.items()})
        for name, splits in aligned.items()
    }
    kept, duplicates, conflicts = _without_duplicates(readable)
    for name, splits in kept.items():
        removed = {split: len(readable[name][split]) - len(splits[split]) for split in splits}
        reports[name] = replace(reports[name], duplicates=removed)
        _save(splits, config.out / name)
    report = Report(
        fingerprint=key,
        options={k: str(v) for k, v in asdict(config.align).items()},
        corpora=list(reports.values()),
        leaks=duplicates.leaks,
        repeats=duplicates.repeats,
        conflicts=conflicts,
    )
    write_text(config.out / "report.html", to_html(report))
    write_text(config.out / "report.json", json.dumps(asdict(report), indent=1) + "\n")
    shutil.rmtree(config.out / ".work", ignore_errors=True)
    return report


def _align_corpus(corpus: Corpus, config: PrepareConfig) -> DatasetDict:
    """Align all splits in chunks; a chunk that an earlier, killed run finished is read back."""
    disable_progress_bar()
    work = config.out / ".work" / _fingerprint([corpus], config.align)[:16]
    work.mkdir(parents=True, exist_ok=True)
    total = sum(len(rows) for rows in corpus.splits.values())
    result = DatasetDict()
    with tqdm(total=total, desc=f"aligning {corpus.name}", unit=" images") as bar:
        for split, rows in corpus.splits.items():
            parts = []
            for start in range(0, len(rows), _CHUNK):
                chunk = rows.select(range(start, min(start + _CHUNK, len(rows))))
                parts.append(_align_chunk(chunk, work / f"{split}-{start}.arrow", config))
                bar.update(len(chunk))
            result[split] = concatenate_datasets(parts) if parts else _empty()
    _check_readable(corpus, result)
    return result


def _align_chunk(rows: Dataset, cache: Path, config: PrepareConfig) -> Dataset:
    aligned: Dataset = rows.map(
        partial(align_rows, config=config.align),
        batched=True,
        batch_size=64,
        num_proc=min(config.processes, max(1, len(rows) // 64)) if config.processes > 1 else None,
        remove_columns=rows.column_names,
        features=PREPARED,
        cache_file_name=str(cache),
        # The work folder is named by everything that matters, so hashing the function again (and
        # with it torch's state) would cost time and tell nothing.
        new_fingerprint=hashlib.sha256(str(cache).encode()).hexdigest()[:16],
    )
    return aligned


def _check_readable(corpus: Corpus, splits: DatasetDict) -> None:
    reasons = [reason for rows in splits.values() for reason in rows["error"] if reason]
    total = sum(len(rows) for rows in splits.values())
    if len(reasons) > MAX_UNREADABLE * total:
        raise DataError(
            f"{len(reasons)} of {total} pictures of {corpus.name} cannot be read, more than "
            f"{MAX_UNREADABLE:.0%} (the first: {reasons[0].rstrip('.')}); check the archive."
        )


def _readable(rows: Dataset) -> Dataset:
    good = np.array([error is None for error in rows["error"]], np.bool_)
    return rows.select(np.flatnonzero(good))


def _without_duplicates(
    corpora: dict[str, DatasetDict],
) -> tuple[dict[str, DatasetDict], Duplicates, list[list[str]]]:
    """Drop near-duplicates of all corpora together from their training splits.

    Returns:
        The corpora, what was decided, and each group of one photograph with different labels as
        ``corpus/sample: label``.
    """
    places = [(name, split) for name, splits in corpora.items() for split in splits]
    tables = [corpora[name][split] for name, split in places]
    crops = _pixels(tables, "px", CROP_SIZE)
    hashes = np.array([value for rows in tables for value in rows["phash"]], np.uint64)
    # Neither search finds all: cropping differently hides a copy from the one, a face that was
    # found in only one of two copies from the other.
    whole = near_duplicates(_pixels(tables, "thumb", THUMBNAIL_SIDE))
    faces = near_duplicates(np.stack([thumbnail(crop) for crop in crops]), hashes)
    groups = group(len(crops), np.concatenate([whole, faces]))
    names = [
        f"{name}/{key}"
        for (name, _), t in zip(places, tables, strict=True)
        for key in t["sample_id"]
    ]
    original = [label for rows in tables for label in rows["original_label"]]
    labels = [label for rows in tables for label in rows["label"]]
    # Neutral rows of a training split are training rows too: they calibrate.
    held_out = np.array([s != TRAINING_SPLIT for rows in tables for s in rows["split"]], np.bool_)
    duplicates = resolve(groups, labels, held_out, names)
    kept: dict[str, DatasetDict] = {name: DatasetDict() for name in corpora}
    start = 0
    for (name, split), rows in zip(places, tables, strict=True):
        stays = duplicates.keep[start : start + len(rows)]
        kept[name][split] = rows.select(np.flatnonzero(stays)).remove_columns("thumb")
        start += len(rows)
    conflicts = [
        [f"{names[i]}: {original[i]}" for i in members] for members in duplicates.conflicts
    ]
    return kept, duplicates, conflicts


def _pixels(tables: Sequence[Dataset], column: str, side: int) -> npt.NDArray[np.uint8]:
    """Stack a column of square grey pictures: uint8 (N, side, side)."""
    data = b"".join(pixels for rows in tables for pixels in rows[column])
    return np.frombuffer(data, np.uint8).reshape(-1, side, side)


def _save(splits: DatasetDict, folder: Path) -> None:
    """Write a corpus beside its place and move it there, so that it is never half there."""
    partial_folder = folder.with_name(f".partial-{folder.name}")
    shutil.rmtree(partial_folder, ignore_errors=True)
    splits.save_to_disk(str(partial_folder))
    shutil.rmtree(folder, ignore_errors=True)
    partial_folder.rename(folder)


def _empty() -> Dataset:
    return Dataset.from_dict({name: [] for name in PREPARED}, features=PREPARED)


def _fingerprint(corpora: Sequence[Corpus], align: AlignConfig) -> str:
    """Hash everything that shapes the result: pictures, labels, options, models and code."""
    digest = hashlib.sha256(json.dumps({k: str(v) for k, v in asdict(align).items()}).encode())
    for module in (emotion.align, emotion.detect.retinaface, emotion.images, train.alignment):
        digest.update(Path(str(module.__file__)).read_bytes())
    models = (align.detector_weights or MOBILENET_WEIGHTS, align.superres_model)
    for model in filter(None, models):
        if not model.is_file():
            raise DataError(f"The model {model} does not exist; check the path.")
        digest.update(model.read_bytes())
    for corpus in corpora:
        for split, rows in corpus.splits.items():
            digest.update(f"{corpus.name}/{split}/{len(rows)}".encode())
            for row in rows:
                digest.update(f"{row['sample_id']}={row['original_label']}".encode())
                digest.update(image_bytes(row["image"]))
    return digest.hexdigest()


def _read_report(out: Path) -> Report | None:
    """Return the report of an earlier, complete preparation."""
    try:
        values: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
        values["corpora"] = [CorpusReport(**entry) for entry in values["corpora"]]
        report = Report(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    complete = all((out / c.name / "dataset_dict.json").exists() for c in report.corpora)
    return report if complete else None
