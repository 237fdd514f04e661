"""``python -m train prepare --push-prepared``: who may see faces, and what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from huggingface_hub import DatasetCard

from tests.hub.conftest import READER, STRANGER, WRITER
from tests.hub.test_push import check_sentence
from train.cli import main
from train.corpora.licences import LICENCES
from train.corpora.schema import SOURCES
from train.faces.store import read_split
from train.hub.push_prepared import check, push_prepared
from train.hub.upload import Repository


def faces(seed: int, count: int) -> Dataset:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 4096), generator=random, dtype=torch.uint8)
    return Dataset.from_dict(
        {
            "px": [row.numpy().tobytes() for row in pixels],
            "label": [i % 6 for i in range(count)],
            "face_found": [i % 4 > 0 for i in range(count)],
            "sample_id": [f"{seed}/{i}" for i in range(count)],
        }
    )


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Noise, laid out as ``prepare`` does."""
    folder = tmp_path / "prepared"
    for seed, corpus in enumerate(("raf-db", "synthetic")):
        parts = {"train": faces(10 * seed, 12), "valid": faces(10 * seed + 1, 5)}
        DatasetDict(parts).save_to_disk(str(folder / corpus))
    (folder / "report.json").write_text('{"fingerprint": "x"}')
    (folder / "sheet.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def pushing(hub, client, repository, prepared):
    def attempt(token: str = WRITER, public: bool = False, **_: Any) -> Any:
        there = Repository(repository, "dataset")
        return client.attempt(push_prepared, prepared, there, token=token, public=public)

    return attempt


def pull(repository: str, revision: str, folder: Path) -> list[str]:
    """Do what the card says."""
    from datasets import get_dataset_config_names, load_dataset

    names = get_dataset_config_names(repository, revision=revision)
    for name in names:
        load_dataset(repository, name, revision=revision).save_to_disk(str(folder / name))
    return names


def test_pushed_faces_come_back_bit_for_bit_and_can_be_trained_on(
    client, pushing, repository, prepared, tmp_path
):
    pushed = pushing()
    assert (pushed.error, pushed.noise) == (None, "")

    back = tmp_path / "back"
    names = client.call(pull, repository, pushed.value, back, token=READER)

    assert set(names) == {"raf-db", "synthetic"}
    for corpus in names:
        for split in ("train", "valid"):
            here, there = read_split(prepared, corpus, split), read_split(back, corpus, split)
            assert torch.equal(here.faces, there.faces)
            assert torch.equal(here.labels, there.labels)
            assert torch.equal(here.found, there.found)


def test_they_are_private_in_one_tagged_commit_with_their_licences(
    hub, client, pushing, repository
):
    pushed = pushing()

    there = hub.repositories["datasets", repository]
    assert there.private
    assert len(there.commits) == 2
    assert there.tags == {"v1": pushed.value}
    files = there.resolve("main").files
    assert set(files) - {".gitattributes"} == {
        "README.md",
        "report.json",
        *(f"{c}/{s}.parquet" for c in ("raf-db", "synthetic") for s in ("train", "valid")),
    }
    text = hub.store.path(files["README.md"].sha256).read_text()
    assert "Keep this repository private" in text
    assert "| RAF-DB | train 12, valid 5 | non-commercial research, on request" in text
    assert DatasetCard(text).data.license == "other"


def test_a_second_push_changes_nothing(hub, pushing, repository):
    first = pushing().value
    assert pushing().value == first
    assert len(hub.repositories["datasets", repository].commits) == 2


def test_others_do_not_see_them(client, pushing, repository):
    from datasets.exceptions import DatasetNotFoundError

    commit = pushing().value
    with pytest.raises(DatasetNotFoundError):
        client.call(pull, repository, commit, Path("/nowhere"), token=STRANGER)


def test_a_public_repository_is_refused_for_every_corpus_that_does_not_allow_it(
    hub, client, repository
):
    for corpus in SOURCES:
        attempt = client.attempt(
            check, repository, ["synthetic", corpus], token=WRITER, public=True
        )
        if corpus == "synthetic":
            assert attempt.error is None
        else:
            check_sentence(attempt, "may not be published", LICENCES[corpus].title, "--public")
    assert {corpus for corpus in SOURCES if LICENCES[corpus].redistributable} == {"synthetic"}


def test_faces_do_not_go_to_a_repository_that_is_public_already(hub, client, pushing, repository):
    client.api("create_repo", token=WRITER, repo_id=repository, repo_type="dataset", private=False)

    check_sentence(pushing(), "there already and public")

    assert set(hub.repositories["datasets", repository].resolve("main").files) == {".gitattributes"}


def test_what_lies_in_the_folder_counts_not_what_was_checked_before(pushing, hub, repository):
    check_sentence(pushing(public=True), "RAF-DB", "may not be published")
    assert ("datasets", repository) not in hub.repositories


FAULTS = {
    "500 twice, then fine": ("POST .*/commit/", {"status": 500, "times": 2}, None),
    "429, come back soon": (
        "POST .*/preupload/",
        {"status": 429, "headers": {"Retry-After": "1"}},
        None,
    ),
    "somebody else pushes": ("POST .*/commit/", {"status": 412}, None),
    "403": ("POST .*/commit/", {"status": 403, "times": None}, "may not write there"),
    "401": ("GET /api/datasets", {"status": 401, "times": None}, "token is not valid"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_waited_out_or_a_sentence_and_nothing_is_half_there(
    hub, pushing, repository, fault
):
    pattern, how, says = FAULTS[fault]
    hub.fail(pattern, **how)

    pushed = pushing()

    there = hub.repositories["datasets", repository]
    if says is None:
        assert pushed.error is None
        assert len(there.commits) == 2
    else:
        check_sentence(pushed, says)
        assert set(there.resolve("main").files) == {".gitattributes"}


def command(arguments: list[str]) -> int:
    from datasets import disable_progress_bars

    disable_progress_bars()
    return main(arguments)


def test_the_command_refuses_before_it_prepares(hub, client, repository, tmp_path):
    """The corpus is not even there, and nobody notices."""
    out = tmp_path / "out"
    arguments = ["prepare", "--corpus", f"raf-db={tmp_path}/none.zip", "--out", str(out)]

    public = client.attempt(
        command, [*arguments, "--push-prepared", repository, "--public"], token=WRITER
    )
    nobody = client.attempt(command, [*arguments, "--push-prepared", repository])
    unnamed = client.attempt(command, [*arguments, "--public"])

    assert (public.value, nobody.value, unnamed.value) == (2, 2, 2)
    assert "may not be published" in public.noise
    assert "There is no token" in nobody.noise
    assert "--push-prepared USER/NAME" in unnamed.noise
    assert not out.exists()
    assert ("datasets", repository) not in hub.repositories


def test_the_command_prepares_and_pushes_drawn_faces(hub, client, repository, tmp_path):
    out = tmp_path / "out"
    arguments = ["prepare", "--corpus", "synthetic=72", "--out", str(out), "--processes", "1"]

    attempt = client.attempt(
        command, [*arguments, "--push-prepared", repository, "--public"], token=WRITER
    )

    assert attempt.value == 0, attempt.noise
    there = hub.repositories["datasets", repository]
    assert not there.private
    files = there.resolve("main").files
    report = json.loads(hub.store.path(files["report.json"].sha256).read_text())
    assert report == json.loads((out / "report.json").read_text())
    names = {Path(name).stem for name in files if name.endswith(".parquet")}
    assert {"train", "valid"} <= names
