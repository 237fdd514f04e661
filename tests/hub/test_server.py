"""The server against the libraries it stands in for; they are not modified."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub.client import Client
from tests.hub.conftest import READER, STRANGER, WRITER
from tests.hub.server import Hub

LARGE = bytes(range(256)) * 2000


@pytest.fixture
def folder(tmp_path: Path, repository: str) -> Path:
    (tmp_path / "figures").mkdir()
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Card\n")
    (tmp_path / "figures" / "curve ü.svg").write_text("<svg/>")
    # LFS skips content that any repository has already brought.
    (tmp_path / "model.safetensors").write_bytes(LARGE + repository.encode())
    return tmp_path


@pytest.fixture
def pushed(hub: Hub, client: Client, repository: str, folder: Path) -> str:
    """The first commit of ``folder`` to a new repository."""
    client.api("create_repo", token=WRITER, repo_id=repository)
    return client.api("upload_folder", token=WRITER, repo_id=repository, folder_path=folder)


def download(repository: str, name: str, **arguments: Any) -> bytes:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, name, **arguments)).read_bytes()


def snapshot(repository: str, **arguments: Any) -> dict[str, bytes]:
    from huggingface_hub import snapshot_download

    top = Path(snapshot_download(repository, **arguments))
    files = (path for path in top.rglob("*") if path.is_file())
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in files}


def push_rows(repository: str, numbers: list[int]) -> None:
    from datasets import Dataset

    Dataset.from_dict({"number": numbers}).push_to_hub(repository, private=True)


def pull_rows(repository: str, streaming: bool) -> list[int]:
    from datasets import load_dataset

    rows = load_dataset(repository, split="train", streaming=streaming)
    return [row["number"] for row in rows]


def test_a_token_tells_who_is_there(hub, client):
    assert client.api("whoami", token=WRITER)["name"] == "me"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        client.api("whoami", token="hf_wrong")


def test_a_pushed_folder_comes_back_byte_for_byte(client, repository, folder, pushed):
    files = client.call(snapshot, repository)

    assert re.fullmatch("[0-9a-f]{40}", pushed)
    assert files.pop(".gitattributes") == b""
    expected = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert files == {name: path.read_bytes() for name, path in expected.items()}


def test_large_files_go_by_lfs_and_come_from_a_host_that_sees_no_token(
    hub, client, repository, pushed
):
    uploads = [asked.path for asked in hub.requests if asked.method == "PUT"]
    hub.reset()
    client.call(download, repository, "model.safetensors", token=WRITER)

    assert len(uploads) == 1
    by_host = {asked.path.startswith("/cdn/"): asked.authorization for asked in hub.requests}
    assert by_host == {False: f"Bearer {WRITER}", True: None}


def test_an_unchanged_folder_makes_no_second_commit(hub, client, repository, folder, pushed):
    again = client.api("upload_folder", token=WRITER, repo_id=repository, folder_path=folder)

    assert again == pushed
    assert len(hub.repositories["models", repository].commits) == 2  # the other one is the first


def test_branches_and_tags_lead_to_commits_and_old_ones_stay_readable(client, repository, pushed):
    about = {"repo_id": repository, "token": WRITER}
    client.api("create_tag", **about, tag="v1")
    client.api("create_branch", **about, branch="more/wine")
    file = {"path_in_repo": "README.md", "path_or_fileobj": b"new"}
    newest = client.api("upload_file", **about, **file)
    client.api("upload_file", **about, **file, revision="more/wine")

    read = {
        revision: client.call(download, repository, "README.md", revision=revision)
        for revision in ("main", newest, "more/wine", "v1", pushed)
    }

    assert [content == b"new" for content in read.values()] == [True, True, True, False, False]
    refs = client.api("list_repo_refs", repo_id=repository)
    assert {ref.name for ref in refs.branches} == {"main", "more/wine"}
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", pushed)]
    history = client.api("list_repo_commits", repo_id=repository)
    assert [commit.commit_id for commit in history][:2] == [newest, pushed]


def test_deleted_files_are_gone_from_the_next_commit(client, repository, pushed):
    about = {"repo_id": repository, "token": WRITER}
    client.api("delete_folder", **about, path_in_repo="figures")
    client.api("delete_file", **about, path_in_repo="README.md")

    files = client.api("list_repo_files", repo_id=repository)

    assert files == [".gitattributes", "model.safetensors"]


def test_the_tree_lists_files_and_folders(client, repository, pushed):
    top = client.api("list_repo_tree", repo_id=repository)
    inside = client.api("list_repo_tree", repo_id=repository, path_in_repo="figures", expand=True)
    some = client.api("get_paths_info", repo_id=repository, paths=["model.safetensors", "nothing"])

    assert {entry.path for entry in top} >= {"figures", "README.md", "model.safetensors"}
    assert [entry.path for entry in inside] == ["figures/curve ü.svg"]
    assert [(entry.path, entry.lfs.size) for entry in some] == [
        ("model.safetensors", len(LARGE) + len(repository))
    ]


def test_a_part_of_a_file_can_be_asked_for(hub, repository, pushed):
    url = f"{hub.url}/{repository}/resolve/main/model.safetensors"

    answer = httpx.get(url, headers={"Range": "bytes=10-19"}, follow_redirects=True)

    assert answer.status_code == 206
    assert answer.content == LARGE[10:20]


def test_a_commit_on_a_branch_that_has_moved_is_refused(client, repository, pushed):
    file = {"path_in_repo": "a.txt", "path_or_fileobj": b"a"}
    about = {"repo_id": repository, "token": WRITER, "parent_commit": pushed}
    client.api("upload_file", **about, **file)

    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as caught:
        client.api("upload_file", **about, path_in_repo="b.txt", path_or_fileobj=b"b")

    assert caught.value.response.status_code == 412


@pytest.mark.parametrize(
    ("name", "revision", "expected"),
    [
        ("me/nothing", "main", RepositoryNotFoundError),
        (None, "no-such-branch", RevisionNotFoundError),
        (None, "main", RemoteEntryNotFoundError),
    ],
)
def test_what_is_missing_is_told_apart(client, repository, pushed, name, revision, expected):
    with pytest.raises(expected):
        client.call(download, name or repository, "nothing.txt", revision=revision)


@pytest.mark.parametrize(("token", "status"), [("", 401), (STRANGER, 404), ("hf_wrong", 401)])
def test_a_private_repository_does_not_exist_for_others(client, repository, token, status):
    client.api("create_repo", token=WRITER, repo_id=repository, private=True)
    assert client.api("model_info", token=READER, repo_id=repository).private

    with pytest.raises(HfHubHTTPError) as caught:
        client.api("model_info", token=token, repo_id=repository)

    assert caught.value.response.status_code == status


@pytest.mark.parametrize("token", [READER, STRANGER])
def test_only_its_owner_writes(client, repository, pushed, token):
    file = {"path_in_repo": "a.txt", "path_or_fileobj": b"a"}
    with pytest.raises(HfHubHTTPError) as caught:
        client.api("upload_file", token=token, repo_id=repository, **file)
    assert caught.value.response.status_code == 403


def test_a_repository_is_made_once_and_can_be_removed(client, repository):
    about = {"token": WRITER, "repo_id": repository}
    client.api("create_repo", **about)
    client.api("create_repo", **about, exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="already created"):
        client.api("create_repo", **about)

    client.api("delete_repo", **about)

    assert not client.api("repo_exists", **about)


def test_datasets_pushes_loads_and_streams_rows(hub, client, repository):
    client.call(push_rows, repository, [3, 1, 2], token=WRITER)

    for streaming in (False, True):
        assert client.call(pull_rows, repository, streaming, token=READER) == [3, 1, 2]
    assert ("datasets", repository) in hub.repositories
