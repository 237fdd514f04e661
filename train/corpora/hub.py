"""Corpora that lie in a dataset repository on the Hugging Face Hub, as rows, a zip or a folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Image,
    load_dataset,
)
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from emotion.errors import DataError
from emotion.hub.client import SILENCE, patiently, quiet_client
from emotion.hub.reasons import explain, find_hub_error
from emotion.labels import CORPUS_LABELS
from train.corpora.archive import IMAGE_SUFFIXES
from train.corpora.place import HUB as PREFIX
from train.corpora.schema import FEATURES, calm_share, canonical_label, label_id

_ROWS = {".parquet", ".arrow", ".jsonl", ".json", ".tar"}
_ASIDE = ("README.md", ".gitattributes", "dataset_infos.json")
_PICTURES = {*IMAGE_SUFFIXES, ".zip", ".csv"}

_HUB_SPLITS: dict[str, dict[str, str]] = {
    "fer2013": {
        "train": "train",
        **dict.fromkeys(("public", "publictest", "valid", "val", "validation"), "public"),
        **dict.fromkeys(("private", "privatetest", "test"), "private"),
    },
    "raf-db": {"train": "train", "test": "test"},
    "affectnet": {
        "train": "train",
        **dict.fromkeys(("valid", "val", "validation"), "valid"),
        "test": "test",
    },
}
_NAMES = {
    name: canonical
    for table in CORPUS_LABELS.values()
    for name, canonical in table.items()
    if not name.isdecimal()
}


def fetch_archive(location: str) -> Path | None:
    """Bring a repository that holds pictures as files into the cache.

    ``datasets`` would read those too, but it knows nothing of the corpora's own splits: of Kaggle's
    zip of FER-2013 it makes one training split, with both test splits in it.

    Args:
        location: the repository, as ``load_repository`` takes it.

    Returns:
        The one zip in it, or the folder; None if the repository holds rows (Parquet and the like).

    Raises:
        DataError: if the address is malformed or the repository cannot be reached.
    """
    repository, revision = _parse(location)
    with _sentences(location), quiet_client():
        names = patiently(lambda: _list_files(repository, revision))
        kinds = {PurePosixPath(name).suffix.lower() for name in names if name not in _ASIDE}
        rows = kinds & _ROWS or not kinds & _PICTURES
        zips = [name for name in names if name.lower().endswith(".zip")]
        if rows or len(zips) > 1:
            return None
        folder = patiently(lambda: _snapshot(repository, revision))
    return folder / zips[0] if zips else folder


def _list_files(repository: str, revision: str | None) -> list[str]:
    try:
        info = HfApi().dataset_info(repository, revision=revision, timeout=SILENCE)
        return [file.rfilename for file in info.siblings or ()]
    except OfflineModeIsEnabled:
        pass
    try:
        cached = _snapshot(repository, revision)
    except LocalEntryNotFoundError:
        return []  # datasets has a cache of its own
    return [path.relative_to(cached).as_posix() for path in cached.rglob("*")]


def _snapshot(repository: str, revision: str | None) -> Path:
    folder = snapshot_download(
        repository, repo_type="dataset", revision=revision, ignore_patterns=[*_ASIDE]
    )
    return Path(folder)


def load_repository(corpus: str, location: str) -> DatasetDict:
    """Open ``hf://datasets/USER/NAME`` or ``hf://datasets/USER/NAME@REVISION``.

    Args:
        corpus: which corpus it is.
        location: the repository.

    Returns:
        The corpus's own split word -> rows with the columns of the repository, images undecoded.

    Raises:
        DataError: if the address is malformed, or the repository cannot be reached or understood.
    """
    repository, revision = _parse(location)
    with _sentences(location), quiet_client():
        loaded = load_dataset(repository, revision=revision)
    return rename_splits(corpus, loaded, location)


def _parse(location: str) -> tuple[str, str | None]:
    match = re.fullmatch(re.escape(PREFIX) + r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", location)
    if match is None:
        raise DataError(f"{location} is no dataset address; write {PREFIX}USER/NAME[@REVISION].")
    return match[1], match[2]


@contextmanager
def _sentences(location: str) -> Iterator[None]:
    """Turn whatever the libraries raise, dozens of types with texts of many lines, into one."""
    try:
        yield
    except Exception as error:
        if hub_error := find_hub_error(error):
            reason = explain(hub_error, location.partition("@")[2] or "main")
        else:
            text = (str(error).strip().splitlines() or [""])[0][:200].rstrip(".")
            reason = (
                f"{type(error).__name__}: {text}; check the name, the network, and that "
                "`hf auth login` was done if it is private"
            )
        raise DataError(f"{location} cannot be loaded: {reason}.") from None


def rename_splits(corpus: str, loaded: DatasetDict, location: str) -> DatasetDict:
    """Give the splits of a repository the corpus's own words.

    Raises:
        DataError: if a split has no counterpart in the corpus.
    """
    words = _HUB_SPLITS[corpus]
    renamed = DatasetDict()
    for name, rows in loaded.items():
        word = words.get(name.casefold().replace("_", ""))
        if word is None or word in renamed:
            raise DataError(
                f"{location} has the splits {', '.join(loaded)}; for {corpus} they must be "
                f"{', '.join(dict.fromkeys(words.values()))}."
            )
        renamed[word] = rows
    if corpus == "fer2013" and "private" in renamed and "public" not in renamed:
        raise DataError(
            f"{location} has one test split, which may mix FER-2013's public and private images; "
            "rename it to public or private, or add the other one."
        )
    return renamed


def unify(
    rows: Dataset,
    corpus: str,
    split: str,
    num_proc: int = 1,
    explained: Mapping[str, str] | None = None,
) -> Dataset:
    """Bring the rows of a repository, with columns ``image`` and ``label``, into ``FEATURES``.

    Labels are understood as class names, as the corpus's own numbers, or as its folder names;
    ``explained`` words and numbers come first, see ``train.corpora.place``.

    Raises:
        DataError: if a column is missing or a class name is none of the corpus's expressions.
    """
    features = rows.features
    if not {"image", "label"} <= set(features):
        raise DataError(
            f"The {corpus} repository has the columns {', '.join(features)}; "
            "it needs image and label."
        )
    names = features["label"].names if isinstance(features["label"], ClassLabel) else None
    if names is not None:
        for name in names:
            understand(corpus, name, explained)
    arguments = {"corpus": corpus, "split": split, "names": names, "explained": explained}
    undecoded = rows.cast_column("image", Image(decode=False))
    return undecoded.map(
        _unified_row,
        with_indices=True,
        fn_kwargs=arguments,
        remove_columns=[name for name in features if name not in FEATURES],
        features=FEATURES,
        num_proc=num_proc if num_proc > 1 else None,
    )


def count_classes(
    corpus: str, originals: Mapping[str, int], explained: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Add up the counts of a repository's own class names by canonical name."""
    counts: Counter[str] = Counter()
    for name, number in originals.items():
        counts[understand(corpus, name, explained)] += number
    return dict(counts)


def _unified_row(
    row: Mapping[str, Any],
    index: int,
    corpus: str,
    split: str,
    names: list[str] | None,
    explained: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    original = names[row["label"]] if names is not None else str(row["label"])
    image = row["image"] or {"bytes": b"", "path": None}
    label = understand(corpus, original, explained)
    return {
        **dict.fromkeys(FEATURES),
        "image": image,
        "label": label_id(label),
        "calm": calm_share(label),
        "source": corpus,
        "split": split,
        "sample_id": f"{split}/{index:06d}",
        "original_label": original,
        "expression": label,
    }


def understand(corpus: str, name: str, explained: Mapping[str, str] | None = None) -> str:
    """Return the canonical name of a class of a repository.

    Raises:
        DataError: if it is none of the corpus's expressions.
    """
    label = canonical_label(corpus, name, explained) or _NAMES.get(name.strip().casefold())
    if label is None:
        raise DataError(
            f"The {corpus} repository has the class {name!r}, which is no expression of {corpus}; "
            "rename the classes to names such as happy, sad or neutral."
        )
    return label
