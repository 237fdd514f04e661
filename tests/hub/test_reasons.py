"""The Hub's own reasons, and those of the disk behind its cache, each in its sentence."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils._fixes import WeakFileLock

from emotion.errors import DataError
from emotion.hub.client import quiet_client
from emotion.hub.reasons import explain, find_hub_error
from train.corpora import hub as corpora


def raised(number: int) -> OSError:
    """An error of the disk, as a library that uses the client passes it on."""
    try:
        try:
            raise OSError(number, os.strerror(number), "/cache/x")
        except OSError as error:
            raise ValueError("the rows could not be made") from error
    except ValueError as outer:
        found = find_hub_error(outer)
        assert isinstance(found, OSError)
        return found


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_cache_says_that_it_is_full(number: int) -> None:
    assert "is full; free some space, or set HF_HOME" in explain(raised(number), "main")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_closed_cache_says_that_it_cannot_be_written(number: int) -> None:
    assert f"cannot be written ({os.strerror(number)}); set HF_HOME" in explain(
        raised(number), "main"
    )


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Not enough disk space. Needed: 3 GB (download: 1 GB, generated: 2 GB)"),
    ],
)
def test_a_corpus_that_does_not_fit_the_disk_is_not_blamed_on_its_name(
    monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(corpora, "load_dataset", full)

    with pytest.raises(DataError, match="is full; free some space") as caught:
        corpora.load_repository("fer2013", "hf://datasets/me/faces")
    assert "check the name" not in str(caught.value)


def test_other_errors_of_files_are_not_the_disks() -> None:
    assert find_hub_error(FileNotFoundError(errno.ENOENT, "gone")) is None


def test_a_cache_that_another_process_holds_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "FILELOCK_LOG_EVERY_SECONDS", 0.05)
    path, held, enough = tmp_path / "x.lock", threading.Event(), threading.Event()

    def hold() -> None:
        with WeakFileLock(path):
            held.set()
            enough.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(10)
    threading.Timer(0.4, enough.set).start()

    with quiet_client(), WeakFileLock(path):
        pass

    other.join()
    errors = capsys.readouterr().err
    assert errors.count("Another process is writing to the cache") == 1
    assert errors.count("\n") == 1
