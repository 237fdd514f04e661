"""Why a corpus is not understood: what an archive holds instead of one of the layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from train.corpora.archive import ARCHIVE_SUFFIXES, Archive, is_image
from train.corpora.expressions import understand
from train.corpora.tables import table_problem

_TABLES = 10  # looked into, at most


def describe(archive: Archive) -> str:
    """Say in a few words what an archive holds, and what is in the way where that is known."""
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in archive.sizes)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(4))
    first = next(iter(archive.sizes))
    cause = find_cause(archive)
    told = f"{len(archive.sizes):,} files ({listed}), for example {first}"
    return f"{told}; {cause}" if cause else told


def find_cause(archive: Archive) -> str | None:
    """Say what keeps an archive from being understood; None if nothing obvious does."""
    suffixes = {name: PurePosixPath(name).suffix.lower() for name in archive.sizes}
    inner = [name for name, suffix in suffixes.items() if suffix in ARCHIVE_SUFFIXES]
    if inner and not any(map(is_image, archive.sizes)):
        return f"the corpus is still packed in {inner[0]}, unpack that and give it"
    tables = [name for name in archive.sizes if name.casefold().endswith(".csv")]
    for name in tables[:_TABLES]:
        if problem := table_problem(archive, name):
            return f"{name} cannot be used: {problem}"
    folders = Counter(
        part for name in archive.sizes if is_image(name) for part in set(name.split("/")[:-1])
    )
    if sum(understand(part) is not None for part in folders) > 1:
        return "class folders can be read as pictures of your own: NAME=folder:PATH"
    return None
