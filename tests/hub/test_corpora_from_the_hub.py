"""Corpora from dataset repositories: rows, a zip or a folder; downloaded, streamed, with faults."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import pytest

from emotion.labels import LABELS
from tests.hub.conftest import READER, STRANGER, WRITER

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FER_COUNTS = {"train": 7, "public": 7, "private": 7}


def picture(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (6, 6), np.uint8)
    image = cv2.resize(noise, (48, 48), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".png", image)[1].tobytes()


def kaggle() -> dict[str, bytes]:
    """FER-2013 as Kaggle lays it out; only the names tell the two test splits apart."""
    files = {}
    for number, emotion in enumerate(EMOTIONS):
        files[f"train/{emotion}/Training_{number}.png"] = picture(3 * number)
        files[f"test/{emotion}/PublicTest_{number}.png"] = picture(3 * number + 1)
        files[f"test/{emotion}/PrivateTest_{number}.png"] = picture(3 * number + 2)
    return files


def zipped(files: Mapping[str, bytes]) -> dict[str, bytes]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return {"archive.zip": content.getvalue()}


def push_rows(repository: str) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, disable_progress_bars

    disable_progress_bars()
    features = Features({"image": Image(), "label": ClassLabel(names=list(EMOTIONS))})
    splits = {}
    for offset, split in enumerate(("train", "validation", "test")):
        images = [{"bytes": picture(3 * n + offset), "path": None} for n in range(7)]
        columns = {"image": images, "label": [*range(7)]}
        splits[split] = Dataset.from_dict(columns, features=features)
    DatasetDict(splits).push_to_hub(repository, private=True)


def load(name: str, location: str) -> dict[str, Any]:
    """Load a corpus and bring what matters of it home."""
    from datasets import disable_progress_bars

    from train.corpora import image_bytes, load_corpus

    disable_progress_bars()
    corpus = load_corpus(name, location)
    rows = {split: list(part) for split, part in corpus.splits.items()}
    return {
        "layout": corpus.layout,
        "labels": {s: sorted(r["label"] for r in part) for s, part in rows.items()},
        "pictures": {s: sorted(image_bytes(r["image"]) for r in part) for s, part in rows.items()},
    }


@pytest.fixture
def upload(hub, client, repository, tmp_path) -> Callable[[Mapping[str, bytes]], str]:
    """Put files into a private dataset repository and return its address."""

    def push(files: Mapping[str, bytes]) -> str:
        for name, data in files.items():
            path = tmp_path / "repository" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        about = {"repo_id": repository, "repo_type": "dataset"}
        client.api("create_repo", token=WRITER, **about, private=True, exist_ok=True)
        client.api("upload_folder", token=WRITER, **about, folder_path=tmp_path / "repository")
        hub.reset()
        return f"hf://datasets/{repository}"

    return push


@pytest.fixture
def rows(hub, client, repository) -> str:
    client.call(push_rows, repository, token=WRITER)
    hub.reset()
    return f"hf://datasets/{repository}"


def check_fer(corpus: Mapping[str, Any]) -> None:
    """The splits hold what they held, and no test picture became a training picture."""
    for offset, split in enumerate(("train", "public", "private")):
        expected = {picture(3 * number + offset) for number in range(7)} - {picture(12 + offset)}
        assert set(corpus["pictures"][split]) == expected, split
        assert corpus["labels"][split] == [*range(6)]
    assert set(corpus["pictures"]["other"]) == {picture(12 + offset) for offset in range(3)}


def test_kaggles_zip_keeps_its_two_test_splits_apart(client, upload):
    location = upload({**zipped(kaggle()), "README.md": b"# FER-2013\n"})

    loaded = client.attempt(load, "fer2013", location, token=READER)

    assert (loaded.error, loaded.noise) == (None, "")
    check_fer(loaded.value)
    assert loaded.value["layout"] == "Kaggle folders"


def test_kaggles_folder_keeps_its_two_test_splits_apart(client, upload):
    location = upload(kaggle())

    check_fer(client.call(load, "fer2013", location, token=READER))


def test_rows_are_downloaded(client, rows):
    check_fer(client.call(load, "fer2013", rows, token=READER))


def test_folders_of_another_layout_are_read_by_split_and_class(client, upload):
    names = ["Happiness", "Sadness", "Neutral"]
    files = {f"train/{name}/{i}.png": picture(100 + i) for i, name in enumerate(names)}
    files |= {f"test/{name}/{i}.png": picture(200 + i) for i, name in enumerate(names)}

    corpus = client.call(load, "raf-db", upload(files), token=READER)

    assert corpus["labels"]["train"] == [LABELS.index("happiness"), LABELS.index("sadness")]
    assert set(corpus["pictures"]["test"]) == {picture(200), picture(201)}


def test_a_revision_is_honoured(hub, client, upload, repository):
    location = upload(zipped(kaggle()))
    commit = hub.repositories["datasets", repository].branches["main"]
    upload({"archive.zip": b"not a zip any more"})

    check_fer(client.call(load, "fer2013", f"{location}@{commit}", token=READER))
    newest = client.attempt(load, "fer2013", location, token=READER)
    assert "not a complete zip" in newest.error


def test_a_zip_is_loaded_without_the_hub_once_it_is_cached(hub, client, offline, upload):
    location = upload(zipped(kaggle()))
    client.call(load, "fer2013", location, token=READER)
    hub.reset()

    check_fer(offline.call(load, "fer2013", location))
    assert hub.requests == []


def check_sentence(attempt: Any, *says: str) -> None:
    assert attempt.error is not None
    assert all(text in attempt.error for text in says), attempt.error
    assert attempt.error.endswith(".")
    for noise in ("\n", "http:", "127.0.0.1", "Traceback", "hf_r", "hf_s"):
        assert noise not in attempt.error


HICCUPS = {
    "500 once for the list": ("GET /api/datasets", {"status": 500}),
    "429, come back soon": (
        "GET /api/datasets",
        {"status": 429, "headers": {"Retry-After": "1"}},
    ),
    "reset in the middle": ("GET /cdn/", {"after": 500, "end": "reset"}),
    "a part that seems whole": ("GET /cdn/", {"after": 500, "end": "truncate"}),
}


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_a_hiccup_is_waited_out(hub, client, upload, hiccup):
    location = upload(zipped(kaggle()))
    pattern, fault = HICCUPS[hiccup]
    hub.fail(pattern, **fault)

    check_fer(client.call(load, "fer2013", location, token=READER))


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "no such repository, or it is private"),
        (STRANGER, "no such repository, or it is private"),
        ("hf_wrong", "token is not valid"),
    ],
)
def test_a_token_that_may_not_read_is_a_sentence(client, upload, token, says):
    location = upload(zipped(kaggle()))
    check_sentence(client.attempt(load, "fer2013", location, token=token), location, says)


FAILURES = {
    "500 for ever": ("GET", {"status": 500}, "answers with status 500"),
    "429, come back much later": (
        "GET",
        {"status": 429, "headers": {"Retry-After": "300"}},
        "try again in 300 seconds",
    ),
    "404 for the revision": (
        "GET",
        {"status": 404, "code": "RevisionNotFound"},
        "has no revision main",
    ),
    "silence": ("GET /api/datasets", {"seconds": 11.0}, "did not answer in time"),
    "never whole": ("GET /cdn/", {"after": 500, "end": "truncate"}, "stayed incomplete"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_hub_is_a_sentence(hub, client, upload, failure):
    location = upload(zipped(kaggle()))
    pattern, fault, says = FAILURES[failure]
    hub.fail(pattern, **fault, times=None)

    check_sentence(client.attempt(load, "fer2013", location, token=READER), says)


def test_without_a_hub_it_is_a_sentence(stranded):
    attempt = stranded.attempt(load, "fer2013", "hf://datasets/me/nothing")
    check_sentence(attempt, "the Hub cannot be reached")


def test_a_hub_that_goes_down_between_list_and_rows_is_a_sentence(hub, client, rows):
    hub.fail("GET /cdn/|GET /datasets/.*/resolve/.*parquet", status=403, times=None)
    check_sentence(client.attempt(load, "fer2013", rows, token=READER), "may not read it")
