"""Preparation: every corpus becomes aligned 64x64 faces on disk, once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import multiprocess  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
from datasets import (
    Dataset,
    DatasetDict,
    are_progress_bars_disabled,
    concatenate_datasets,
    disable_progress_bars,
    enable_progress_bars,
)
from tqdm import tqdm

from emotion.errors import ConfigError, DataError
from emotion.files import write_text
from train.config.faces import AlignConfig
from train.corpora import OTHER, Corpus, load_corpus, parse_corpus
from train.corpora.published import TRAINING_SPLIT
from train.faces import fingerprint
from train.faces.align_rows import PREPARED, align_rows
from train.faces.duplicates import without_duplicates
from train.faces.posterior import PosteriorSummary, add_soft_labels
from train.faces.report import CorpusReport, Report, by_kind
from train.faces.report_page import to_html
from train.workers import attended, one_thread

MAX_UNREADABLE = 0.01
"""Share of unreadable pictures above which a corpus is taken for damaged and the run stops."""

_CHUNK = 2048  # rows per cache file: what a killed run may lose


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

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ConfigError(f"--processes must be at least 1, not {self.processes}.")


def prepare(config: PrepareConfig) -> Report:
    """Align every picture of every corpus, drop duplicates from the training side, and report.

    A second run with the same input returns the old report; a killed run continues where it was.

    Raises:
        ConfigError: if a corpus or an option is unknown, or ``out`` holds a corpus not named.
        DataError: if a corpus cannot be read or shows none of the six expressions, more than 1 % of
            its pictures are unreadable, or ``out`` cannot be written.
    """
    chosen = [parse_corpus(text) for text in config.corpora]
    names = [name for name, _ in chosen]
    if len(set(names)) < len(names):
        raise ConfigError(f"A corpus is named twice ({', '.join(names)}); name each one once.")
    loaded = [load_corpus(name, path, num_proc=config.processes) for name, path in chosen]
    return prepare_corpora(loaded, config)


def prepare_corpora(corpora: Sequence[Corpus], config: PrepareConfig) -> Report:
    """Prepare corpora that are loaded already, see ``prepare``."""
    _check_usable(corpora, config.out)
    key = fingerprint.of_prepared(corpora, config.align)
    finished = _read_report(config.out)
    if finished and finished.fingerprint == key:
        return _with_findings(finished, corpora, config.out)
    try:
        return _prepare(corpora, config, key)
    except OSError as error:
        raise DataError(
            f"{config.out} cannot be written ({error.strerror or error}); free some space or "
            "choose another --out. What is done so far is kept."
        ) from None


def _check_usable(corpora: Sequence[Corpus], out: Path) -> None:
    for corpus in corpora:
        if not sum(corpus.totals.values()):
            rest = len(corpus.splits[OTHER])
            raise DataError(
                f"{corpus.name} shows none of the six expressions, only {rest} pictures of others; "
                "give a corpus with at least one."
            )
    names = {corpus.name for corpus in corpora}
    prepared = {path.parent.name for path in out.glob("[!.]*/dataset_dict.json")}
    if prepared - names:
        raise ConfigError(
            f"{out} also holds {', '.join(sorted(prepared - names))} of an earlier preparation, "
            "and duplicates are searched in all corpora of a folder together; name every one of "
            "them with --corpus, or choose another --out."
        )


def _prepare(corpora: Sequence[Corpus], config: PrepareConfig, key: str) -> Report:
    config.out.mkdir(parents=True, exist_ok=True)
    work = config.out / ".work"
    with one_thread(), attended(), no_bars_of_datasets():
        aligned = {corpus.name: _align_corpus(corpus, work, config) for corpus in corpora}
        reports = {corpus.name: CorpusReport.of(corpus, aligned[corpus.name]) for corpus in corpora}
        readable = {
            name: DatasetDict({split: _readable(rows) for split, rows in splits.items()})
            for name, splits in aligned.items()
        }
        kept, duplicates = without_duplicates(readable)
        _check_left(readable, kept)
        soft = {name: add_soft_labels(splits, name) for name, splits in kept.items()}
        # Whoever finds a report may trust the folders beside it.
        (config.out / "report.json").unlink(missing_ok=True)
        for name, (splits, votes) in soft.items():
            removed = {split: len(readable[name][split]) - len(splits[split]) for split in splits}
            reports[name] = replace(reports[name], duplicates=removed, votes=votes)
            _save(splits.remove_columns("thumb"), config.out / name)
    report = Report(
        fingerprint=key,
        options={name: str(value) for name, value in asdict(config.align).items()},
        corpora=list(reports.values()),
        **asdict(duplicates),
    )
    _write(report, config.out)
    shutil.rmtree(work, ignore_errors=True)
    return report


def _with_findings(report: Report, corpora: Sequence[Corpus], out: Path) -> Report:
    """Renew what is said of the files that are left out, since faces do not depend on them."""
    found = {corpus.name: by_kind(corpus.findings) for corpus in corpora}
    renewed = [replace(corpus, findings=found[corpus.name]) for corpus in report.corpora]
    if renewed == report.corpora:
        return report
    report = replace(report, corpora=renewed)
    _write(report, out)
    return report


def _write(report: Report, out: Path) -> None:
    write_text(out / "report.html", to_html(report))
    write_text(out / "report.json", json.dumps(asdict(report), indent=1) + "\n")


def _align_corpus(corpus: Corpus, work: Path, config: PrepareConfig) -> DatasetDict:
    """Align all splits in chunks; a chunk that an earlier, killed run finished is read back."""
    folder = work / fingerprint.of_aligned([corpus], config.align)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob("tmp*"):
        unfinished.unlink()
    total = sum(len(rows) for rows in corpus.splits.values())
    result = DatasetDict()
    with tqdm(total=total, desc=f"aligning {corpus.name}", unit=" images") as bar:
        for split in (split for split, rows in corpus.splits.items() if len(rows)):
            rows, parts = corpus.splits[split], []
            for start in range(0, len(rows), _CHUNK):
                chunk = rows.select(range(start, min(start + _CHUNK, len(rows))))
                parts.append(_align_chunk(chunk, folder, f"{split}-{start:09d}", config))
                bar.update(len(chunk))
            result[split] = concatenate_datasets(parts)
    _check_readable(corpus, result)
    return result


def _align_chunk(rows: Dataset, folder: Path, name: str, config: PrepareConfig) -> Dataset:
    """Align rows, or read back what was aligned; ``map`` itself renames only complete files."""
    try:
        aligned = _map(rows, folder / f"{name}.arrow", config)
        if len(aligned) == len(rows):
            return aligned
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk, not the content
    # After a power failure a file may have its name but not all of its content.
    for file in folder.glob(f"{name}*.arrow"):
        file.unlink()
    return _map(rows, folder / f"{name}.arrow", config)


def _map(rows: Dataset, cache: Path, config: PrepareConfig) -> Dataset:
    workers = min(config.processes, max(1, len(rows) // 64)) if config.processes > 1 else None
    try:
        aligned: Dataset = rows.map(
            partial(align_rows, config=config.align),
            batched=True,
            batch_size=64,
            num_proc=workers,
            remove_columns=rows.column_names,
            features=PREPARED,
            cache_file_name=str(cache),
            # The folder is named by everything that matters, so hashing the function again (and
            # with it torch's state) would cost time and tell nothing.
            new_fingerprint=f"{cache.parent.name}-{cache.stem}",
        )
    except multiprocess.TimeoutError:
        # Ctrl-C: datasets gives up on its workers and hides what interrupted it.
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "abruptly died" not in str(error):
            raise
        raise DataError(
            "A worker process was ended from outside, most likely for lack of memory; repeat the "
            "command with fewer --processes. What is done so far is kept."
        ) from None
    return aligned


@contextmanager
def no_bars_of_datasets() -> Iterator[None]:
    """Show one bar for a corpus instead of one for each of its chunks."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _check_readable(corpus: Corpus, splits: DatasetDict) -> None:
    bad = [
        f"{key}: {reason.rstrip('.')}"
        for rows in splits.values()
        for key, reason in zip(rows["sample_id"], rows["error"], strict=True)
        if reason
    ]
    total = sum(len(rows) for rows in splits.values())
    if len(bad) > MAX_UNREADABLE * total:
        listed = "; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise DataError(
            f"{len(bad)} of {total} pictures of {corpus.name} cannot be read, and more than "
            f"{MAX_UNREADABLE:.0%} stops the run; fetch the corpus again or remove them ({listed})."
        )


def _check_left(readable: Mapping[str, DatasetDict], kept: Mapping[str, DatasetDict]) -> None:
    for name, splits in kept.items():
        count = len(readable[name].get(TRAINING_SPLIT, ()))
        if count and not len(splits[TRAINING_SPLIT]):
            raise DataError(
                f"Every training picture of {name} ({count}) also stands in a held-out split, so "
                "nothing is left to learn; give other pictures to validate or to test."
            )


def _readable(rows: Dataset) -> Dataset:
    good = np.array([error is None for error in rows["error"]], np.bool_)
    return rows.select(np.flatnonzero(good))


def _save(splits: DatasetDict, folder: Path) -> None:
    """Write a corpus beside its place and move it there, so that it is never half there."""
    # datasets writes a split without rows in a way that it cannot read.
    filled = DatasetDict({split: rows for split, rows in splits.items() if len(rows)})
    new, old = (folder.with_name(f".{word}-{folder.name}") for word in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        filled.save_to_disk(str(new))
        for path in new.rglob("*.*"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _read_report(out: Path) -> Report | None:
    """Return the report of an earlier, complete preparation."""
    try:
        values: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
        values["corpora"] = [_read_corpus(entry) for entry in values["corpora"]]
        report = Report(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    complete = all((out / c.name / "dataset_dict.json").exists() for c in report.corpora)
    return report if complete else None


def _read_corpus(entry: dict[str, Any]) -> CorpusReport:
    votes = entry["votes"]
    return CorpusReport(**{**entry, "votes": votes and PosteriorSummary(**votes)})
