"""Weights pulled from a Hub that works, and from one that does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from emotion.config import NetworkConfig
from emotion.labels import LABELS
from emotion.network import EmotionNet
from tests.hub.client import Client, Outcome, logits, obey_permissions
from tests.hub.conftest import READER, STRANGER, WRITER
from tests.hub.server import Hub

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG, TENSORS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class Push:
    """A repository with one network in it."""

    repository: str
    commit: str
    folder: Path
    network: EmotionNet

    @property
    def spec(self) -> str:
        return f"hf://{self.repository}"

    @property
    def pinned(self) -> str:
        return f"{self.spec}@{self.commit}"


@pytest.fixture
def folder(tmp_path: Path, repository: str) -> Path:
    """A small network on disk; no two tests have the same one."""
    torch.manual_seed(int(repository.rpartition("-")[2]))
    EmotionNet(NetworkConfig(widths=(8, 8, 8, 8))).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def push(hub: Hub, client: Client, repository: str) -> Callable[..., str]:
    """Upload a folder to the test's repository; the log is empty afterwards."""

    def upload(folder: Path, **arguments: Any) -> str:
        client.api("create_repo", token=WRITER, repo_id=repository, exist_ok=True)
        about = {"repo_id": repository, "folder_path": folder, "delete_patterns": "*"}
        commit: str = client.api("upload_folder", token=WRITER, **about, **arguments)
        hub.reset()
        return commit

    return upload


@pytest.fixture
def pushed(push: Callable[..., str], repository: str, folder: Path) -> Push:
    return Push(repository, push(folder), folder, EmotionNet.from_pretrained(folder))


def check_sentence(outcome: Outcome, says: str) -> None:
    """An error is one sentence without addresses, tokens, tracebacks or other output."""
    assert outcome.error is not None
    assert says in outcome.error
    assert outcome.error.endswith(".")
    for noise in ("\n", "http:", "127.0.0.1", "Traceback", "hf_w", "hf_r", "hf_s"):
        assert noise not in outcome.error
    assert outcome.noise == ""


def cached(environment: dict[str, str], repository: str, name: str) -> list[Path]:
    folder = Path(environment["HF_HOME"]) / "hub" / f"models--{repository.replace('/', '--')}"
    return list(folder.glob(f"snapshots/*/{name}"))


def test_a_pushed_network_gives_identical_logits(client, pushed):
    outcome = client.load(pushed.spec)

    assert outcome.error is None
    assert outcome.logits == logits(pushed.network)


def test_the_mixin_pushes_what_is_then_loaded(hub, client, repository):
    torch.manual_seed(3)
    network = EmotionNet(NetworkConfig(widths=(8, 8, 8, 8), temperature=1.5))

    client.call(EmotionNet.push_to_hub, network, repository, token=WRITER)

    assert client.load(f"hf://{repository}").logits == logits(network)


def test_commit_and_digest_are_reported(client, pushed):
    outcome = client.load(pushed.spec)

    assert outcome.spec == pushed.spec
    assert outcome.revision == pushed.commit
    assert outcome.digest == hashlib.sha256((pushed.folder / TENSORS).read_bytes()).hexdigest()
    assert outcome.notice is None


def test_only_config_and_tensors_are_downloaded(hub, client, push, repository, folder):
    (folder / "pytorch_model.bin").write_bytes(b"PK")
    (folder / "extra.py").write_text("print()")
    push(folder)

    client.load(f"hf://{repository}")

    names = {a.path.rpartition("/")[2] for a in hub.requests if "/resolve/" in a.path}
    assert names == {CONFIG, TENSORS}


def test_a_push_in_between_cannot_mix_two_commits(hub, client, pushed):
    client.load(pushed.spec)

    asked = {a.path for a in hub.requests if a.path.endswith(TENSORS)}
    assert asked == {f"/{pushed.repository}/resolve/{pushed.commit}/{TENSORS}"}


def test_a_cached_commit_is_loaded_without_any_request(hub, client, pushed):
    client.load(pushed.pinned)
    hub.reset()

    outcome = client.load(pushed.pinned)

    assert outcome.revision == pushed.commit
    assert hub.requests == []


def test_a_branch_follows_a_newer_push_and_a_commit_does_not(client, push, pushed):
    client.load(pushed.spec)
    torch.manual_seed(99)
    newer = EmotionNet(NetworkConfig(widths=(8, 8, 8, 8)))
    newer.save_pretrained(pushed.folder)
    commit = push(pushed.folder)

    moved, pinned = client.load(pushed.spec), client.load(pushed.pinned)

    assert (moved.revision, moved.logits) == (commit, logits(newer))
    assert (pinned.revision, pinned.logits) == (pushed.commit, logits(pushed.network))


@pytest.mark.parametrize("revision", ["v1.0", "more/wine"])
def test_a_tag_or_branch_is_resolved_to_its_commit(client, pushed, revision):
    client.api("create_tag", token=WRITER, repo_id=pushed.repository, tag=revision)

    assert client.load(f"{pushed.spec}@{revision}").revision == pushed.commit


def test_a_private_repository_is_read_with_a_token(hub, client, repository, folder):
    client.api("create_repo", token=WRITER, repo_id=repository, private=True)
    client.api("upload_folder", token=WRITER, repo_id=repository, folder_path=folder)

    assert client.load(f"hf://{repository}", token=READER).error is None


@pytest.mark.parametrize("token", ["", STRANGER], ids=["nobody", "stranger"])
def test_a_private_repository_is_a_sentence_for_others(hub, client, repository, token):
    client.api("create_repo", token=WRITER, repo_id=repository, private=True)

    check_sentence(client.load(f"hf://{repository}", token), "or it is private; check the name")


@pytest.mark.parametrize("token", ["hf_wrong", "hf_broken\nover two lines", "hf_ümläut"])
def test_an_unusable_token_is_a_sentence_that_does_not_show_it(client, pushed, token):
    outcome = client.load(pushed.spec, token)

    check_sentence(outcome, pushed.spec)
    assert token[3:] not in outcome.error


@pytest.mark.parametrize("revision", ["nope", "0" * 40])
def test_a_revision_that_does_not_exist_is_a_sentence(client, pushed, revision):
    check_sentence(client.load(f"{pushed.spec}@{revision}"), f"has no revision {revision}")


def test_a_repository_that_does_not_exist_is_a_sentence(hub, client):
    check_sentence(client.load("hf://me/nothing", WRITER), "there is no such repository")


@pytest.mark.parametrize("spec", ["hf://me/a--b", "hf://me/..", "hf://me/x@a..b", "hf://me/-x"])
def test_an_impossible_name_is_a_sentence_and_asks_nobody(hub, client, spec):
    check_sentence(client.load(spec), "write hf://USER/NAME@REVISION")
    assert hub.requests == []


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def pickle_instead(folder: Path) -> None:
    (folder / TENSORS).rename(folder / "pytorch_model.bin")


def other_labels(folder: Path) -> None:
    values = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(values | {"labels": list(reversed(LABELS))}))


def drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / TENSORS)
    del tensors["fc.bias"]
    save_file(tensors, folder / TENSORS)


def cut(folder: Path) -> None:
    (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (remove(CONFIG), "has no config.json"),
        (remove(TENSORS), "has no model.safetensors;"),
        (pickle_instead, "only pytorch_model.bin, which is a pickle and never loaded"),
        (other_labels, "its labels are"),
        (drop_tensor, "do not fit their config"),
        (cut, "is damaged"),
        (lambda folder: (folder / CONFIG).write_bytes(b" " * 1_100_000), "is not downloaded"),
    ],
    ids=["no config", "no tensors", "pickle", "labels", "missing tensor", "cut", "too large"],
)
def test_an_unusable_repository_is_a_sentence(client, push, repository, folder, damage, says):
    damage(folder)
    push(folder)

    check_sentence(client.load(f"hf://{repository}"), says)


HICCUPS = {
    "500 twice, when asked for the commit": ("GET /api/models", {"status": 500, "times": 2}),
    "503 once, for a file": (f"GET .*{CONFIG}", {"status": 503}),
    "429, come back soon": (
        "GET /api/models",
        {"status": 429, "headers": {"Retry-After": "1"}},
    ),
    "closed in the middle": ("GET /cdn/", {"after": 5000}),
    "reset in the middle": ("GET /cdn/", {"after": 5000, "end": "reset"}),
    "a part that seems whole": ("GET /cdn/", {"after": 5000, "end": "truncate"}),
}


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_a_hiccup_is_waited_out(hub, client, pushed, hiccup):
    pattern, fault = HICCUPS[hiccup]
    hub.fail(pattern, **fault)

    outcome = client.load(pushed.spec)

    assert outcome.error is None
    assert outcome.logits == logits(pushed.network)
    assert outcome.noise == ""


FAILURES = {
    "500 for ever": ("GET", {"status": 500}, "answers with status 500"),
    "429, come back much later": (
        "GET",
        {"status": 429, "headers": {"Retry-After": "300"}},
        "try again in 300 seconds",
    ),
    "403": ("GET", {"status": 403}, "may not read it"),
    "403 for a file": (f"HEAD .*{TENSORS}", {"status": 403}, "may not read it"),
    "gated": ("GET", {"status": 403, "code": "GatedRepo"}, "ask on its page"),
    "401 for a file": (f"HEAD .*{TENSORS}", {"status": 401}, "token is not valid"),
    "404 for a file": (
        f"HEAD .*{TENSORS}",
        {"status": 404, "code": "EntryNotFound"},
        "has just been removed",
    ),
    "silence": ("GET", {"seconds": 8.0}, "did not answer in time"),
    "not a Hub": ("GET /api", {"status": 200}, "is not a Hub"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_hub_is_a_sentence_and_leaves_nothing(
    hub, hub_environment, client, pushed, failure
):
    pattern, fault, says = FAILURES[failure]
    hub.fail(pattern, **fault, times=None)

    check_sentence(client.load(pushed.spec), says)

    assert cached(hub_environment, pushed.repository, TENSORS) == []


def test_a_download_that_stays_incomplete_is_never_used(
    hub, hub_environment, client, offline, pushed
):
    hub.fail("GET /cdn/", after=5000, end="truncate", times=None)

    check_sentence(client.load(pushed.spec), "stayed incomplete")

    assert cached(hub_environment, pushed.repository, TENSORS) == []
    check_sentence(offline.load(pushed.spec), "the cache does not hold it whole")
    hub.reset()
    assert client.load(pushed.spec).logits == logits(pushed.network)


def test_content_that_is_not_what_the_hub_announces_is_refused(hub, client, pushed):
    file = hub.repositories["models", pushed.repository].resolve("main").files[TENSORS]
    stored = hub.store.path(file.sha256)
    data = bytearray(stored.read_bytes())
    data[-1] ^= 1
    stored.write_bytes(data)

    check_sentence(client.load(pushed.spec), "does not have the checksum")


def test_a_damaged_cache_is_downloaded_again(hub, hub_environment, client, pushed):
    client.load(pushed.pinned)
    (path,) = cached(hub_environment, pushed.repository, TENSORS)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    outcome = client.load(pushed.pinned)

    assert outcome.logits == logits(pushed.network)
    assert hub.requests != []


def test_a_damaged_cache_is_refused_while_offline(hub_environment, client, offline, pushed):
    client.load(pushed.pinned)
    (path,) = cached(hub_environment, pushed.repository, TENSORS)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    check_sentence(offline.load(pushed.pinned), "HF_HUB_OFFLINE is set")


@pytest.mark.parametrize("pinned", [True, False])
def test_offline_an_empty_cache_is_a_sentence(hub, offline, pushed, pinned):
    outcome = offline.load(pushed.pinned if pinned else pushed.spec)

    check_sentence(outcome, "HF_HUB_OFFLINE is set")
    assert hub.requests == []


@pytest.mark.parametrize("pinned", [True, False])
def test_offline_the_cached_commit_is_loaded(hub, client, offline, pushed, pinned):
    client.load(pushed.spec)
    hub.reset()

    outcome = offline.load(pushed.pinned if pinned else pushed.spec)

    assert (outcome.revision, outcome.logits) == (pushed.commit, logits(pushed.network))
    assert bool(outcome.notice) is not pinned
    assert hub.requests == []


def test_a_hub_that_is_down_is_a_sentence(stranded, pushed):
    check_sentence(stranded.load(pushed.spec), "the Hub cannot be reached")


def test_a_hub_that_is_down_does_not_matter_to_a_cached_commit(client, stranded, pushed):
    client.load(pushed.spec)

    outcome = stranded.load(pushed.pinned)

    assert (outcome.logits, outcome.notice) == (logits(pushed.network), None)


def test_a_hub_that_is_down_leaves_a_branch_where_it_was_last_seen(client, stranded, pushed):
    client.load(pushed.spec)

    outcome = stranded.load(pushed.spec)

    assert (outcome.revision, outcome.logits) == (pushed.commit, logits(pushed.network))
    assert outcome.notice == (
        f"Commit {pushed.commit[:12]} of {pushed.spec} runs from the cache: the Hub cannot be "
        "reached; check the network and HF_ENDPOINT."
    )


def test_a_repository_that_was_removed_is_not_taken_from_the_cache(hub, client, pushed):
    client.load(pushed.spec)
    client.api("delete_repo", token=WRITER, repo_id=pushed.repository)

    check_sentence(client.load(pushed.spec), "there is no such repository")


@pytest.fixture(scope="session")
def humble(start_client: Callable[..., Client]) -> Client:
    """A client that shares the cache of ``client`` and obeys permissions even if it is root."""
    client = start_client()
    client.call(obey_permissions)
    return client


@pytest.fixture
def lock_cache(hub_environment: dict[str, str]) -> Iterator[Callable[[], None]]:
    """Make the shared cache read-only until the test ends."""
    home = Path(hub_environment["HF_HOME"])
    locked: list[Path] = []

    def lock() -> None:
        locked.extend([home, *(path for path in home.rglob("*") if path.is_dir())])
        for folder in locked:
            folder.chmod(0o555)

    yield lock
    for folder in locked:
        folder.chmod(0o755)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_read_only_cache_that_holds_everything_works(client, humble, pushed, lock_cache, pinned):
    spec = pushed.pinned if pinned else pushed.spec
    client.load(spec)
    lock_cache()

    outcome = humble.load(spec)

    assert (outcome.logits, outcome.notice) == (logits(pushed.network), None)


def test_a_read_only_cache_that_holds_nothing_is_a_sentence(humble, pushed, lock_cache):
    lock_cache()

    check_sentence(humble.load(pushed.spec), "cannot be written (Permission denied); set HF_HOME")
