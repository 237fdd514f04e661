"""Prepared faces to a dataset repository: private, unless every corpus in it may be published."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from datasets import DatasetDict, load_from_disk
from huggingface_hub import DatasetCardData

from emotion.errors import ConfigError, DataError
from train.corpora.licences import licence_of
from train.faces.prepare import no_bars_of_datasets
from train.hub import upload
from train.hub.card import table

REPORT = "report.json"

_MANAGED = re.compile(r"README\.md|report\.json|[\w-]+/[\w.-]+\.parquet")
"""Paths that a push may write, and that the next one deletes if it has them no more."""

_CARD = """---
{front}
---

# {name}

Faces aligned to 64 by 64 grey pixels by `python -m train prepare` of the SEP Emotion Classifier.
One configuration per corpus, with its own splits; `other` holds its neutral and contempt faces.
Columns: `px` (4096 bytes in rows), `label` (0 to 5, or -1 in `other`), `face_found`, and where each
row comes from. `report.json` says what was found, left out and dropped as a duplicate.

{licences}

{visibility}

## How to load it

```python
from datasets import load_dataset
from huggingface_hub import hf_hub_download

for corpus in {corpora}:
    load_dataset("{name}", corpus).save_to_disk(f"prepared/{{corpus}}")
hf_hub_download("{name}", "report.json", repo_type="dataset", local_dir="prepared")
```

Then `python -m train fit --data prepared --out runs/mine`.
"""


def check(repo: str, corpora: Iterable[str], *, public: bool) -> upload.Repository:
    """Make sure that faces of these corpora may go there, before anything long begins.

    Args:
        repo: ``USER/NAME`` of a dataset repository, created if it is not there.
        corpora: names of the corpora.
        public: whether everybody may see it.

    Raises:
        ConfigError: if the name is none, the faces may not be published, or the repository is
            public and must not be.
        HubError: if there is no token, or the Hub refuses.
    """
    name = upload.parse_name(repo)
    kept = [corpus for corpus in corpora if not licence_of(corpus).redistributable]
    if public and kept:
        reasons = "; ".join(
            f"{licence_of(corpus).title}: {licence_of(corpus).terms}" for corpus in kept
        )
        raise ConfigError(
            f"These faces may not be published ({reasons}); leave out --public for a private "
            "repository, or leave out these corpora."
        )
    repository = upload.Repository(name, "dataset")
    upload.prepare(repository, private=not public)
    return repository


def push_prepared(folder: Path, repository: upload.Repository, *, public: bool) -> str:
    """Push every corpus of a folder that ``prepare`` wrote, in one commit with a tag.

    Args:
        folder: holds one folder per corpus, and the report.
        repository: as ``check`` returned it for these corpora.
        public: as it was given there.

    Returns:
        The commit, 40 hexadecimal digits; the same as before if nothing has changed.

    Raises:
        ConfigError: if a corpus in the folder may not be published but was to be.
        DataError: if the folder holds no prepared faces.
        HubError: if the Hub refuses or cannot be reached.
    """
    names = sorted(path.parent.name for path in folder.glob("[!.]*/dataset_dict.json"))
    if not names or not (folder / REPORT).is_file():
        raise DataError(f"{folder} holds no prepared faces; run python -m train prepare first.")
    check(repository.name, names, public=public)
    splits = {name: load_from_disk(str(folder / name)) for name in names}
    card = dataset_card(repository.name, splits, public=public)
    with tempfile.TemporaryDirectory() as scratch, no_bars_of_datasets():
        files: dict[str, upload.Content] = {
            "README.md": card.encode(),
            REPORT: (folder / REPORT).read_bytes(),
        }
        for name, rows in splits.items():
            for split in rows:
                path = Path(scratch) / f"{name}-{split}.parquet"
                rows[split].to_parquet(path)
                files[f"{name}/{split}.parquet"] = path
        commit = upload.commit(
            repository,
            files,
            lambda path: _MANAGED.fullmatch(path) is not None,
            f"Push prepared faces of {', '.join(names)}",
        )
    upload.tag(repository, commit)
    return commit


def dataset_card(name: str, splits: dict[str, DatasetDict], *, public: bool) -> str:
    """Write the card of a repository of prepared faces.

    Args:
        name: ``USER/NAME``.
        splits: corpus -> its prepared splits.
        public: whether everybody may see it.
    """
    front = DatasetCardData(
        license="mit" if all(licence_of(corpus).redistributable for corpus in splits) else "other",
        task_categories=["image-classification"],
        configs=[
            {
                "config_name": corpus,
                "data_files": [
                    {"split": split, "path": f"{corpus}/{split}.parquet"} for split in rows
                ],
            }
            for corpus, rows in splits.items()
        ],
    )
    rows = [
        [
            licence_of(corpus).title,
            ", ".join(f"{split} {len(faces):,}" for split, faces in parts.items()),
            licence_of(corpus).terms,
            licence_of(corpus).origin,
        ]
        for corpus, parts in splits.items()
    ]
    return _CARD.format(
        front=front.to_yaml(line_break="\n"),
        name=name,
        licences=table(["corpus", "faces per split", "licence", "origin"], rows),
        visibility="Every corpus in it may be published."
        if public
        else "**Keep this repository private**: it shows people, under the licences above.",
        corpora=list(splits),
    )
