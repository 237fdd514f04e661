"""The layout `<split>/<class>/<image>`, which FER-2013 and RAF-DB share on Kaggle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora.archive import Archive
from train.corpora.schema import Finding, canonical_label


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file in a class folder.

    Attributes:
        path: where it lies in the archive.
        relative: the same without the folders above the split folder.
        split: name of its split folder, in lower case.
        label: name of its class folder.
    """

    path: str
    relative: str
    split: str
    label: str


def class_folders(
    archive: Archive, splits: Collection[str], classes: Collection[str]
) -> list[FolderFile] | None:
    """List the files below `<split>/<class>/`, wherever in the archive these folders lie.

    Args:
        archive: where to look.
        splits: folder names, in lower case, that make this layout recognisable.
        classes: likewise for the folders below them; files in other class folders are listed too.

    Returns:
        Files in the order of their paths, or ``None`` if the archive has no such folders.

    Raises:
        DataError: if there are several such trees side by side.
    """
    roots = set()
    for name in archive.sizes:
        parts = name.split("/")
        for depth in range(len(parts) - 2):
            if parts[depth].casefold() in splits and parts[depth + 1].casefold() in classes:
                roots.add("/".join(parts[:depth]))
                break
    if not roots:
        return None
    if len(roots) > 1:
        raise DataError(
            f"{archive.location} holds several corpora side by side ({', '.join(sorted(roots))}); "
            "give the folder of one of them."
        )
    prefix = f"{root}/" if (root := roots.pop()) else ""
    files = []
    for name in archive.sizes:
        relative = name.removeprefix(prefix)
        parts = relative.split("/")
        if name.startswith(prefix) and len(parts) > 2 and parts[0].casefold() in splits:
            files.append(FolderFile(name, relative, parts[0].casefold(), parts[1]))
    return files


def left_out(archive: Archive, read: Iterable[str]) -> list[Finding]:
    """List the folders with pictures that are not among those ``read``, and how many there are."""
    used = {*read}
    rest = Counter(name.rpartition("/")[0] for name in archive.images() if name not in used)
    return [
        Finding("unused folder", folder or "top folder", f"{count:,} pictures; left out")
        for folder, count in sorted(rest.items())
    ]


def require_expressions(
    archive: Archive,
    corpus: str,
    files: Collection[FolderFile],
    names: Mapping[str, str] | None = None,
) -> None:
    """Refuse a split folder without a folder for each of the six expressions.

    A model trained on such a corpus could never answer with the missing class, and nothing later
    would say why.

    Raises:
        DataError: if a class folder is missing or empty.
    """
    for split in sorted({file.split for file in files}):
        labels = {file.label for file in files if file.split == split}
        present = {canonical_label(corpus, label, names) for label in labels}
        missing = [label for label in LABELS if label not in present]
        if missing:
            raise DataError(
                f"{archive.location} has no images of {', '.join(missing)} in its folder {split}; "
                "the class folders are missing or empty, unpack the corpus again."
            )
