"""The folder of uploads: whose it is, and what becomes of it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion.errors import ConfigError, ImageError
from emotion.ui import uploads as module
from emotion.ui.uploads import Uploads

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def parent(tmp_path, monkeypatch) -> Path:
    """Where the folders lie; the variable that Gradio reads is put back afterwards."""
    monkeypatch.setattr(module, "_PARENT", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def test_only_its_user_may_enter_it(parent):
    uploads = Uploads()
    assert stat.S_IMODE(uploads.folder.stat().st_mode) == 0o700
    assert os.environ["GRADIO_TEMP_DIR"] == str(uploads.folder)
    uploads.close()
    assert list(parent.iterdir()) == []
    assert os.environ["GRADIO_TEMP_DIR"] == str(parent)


def test_a_file_is_read_once(parent):
    uploads = Uploads()
    path = uploads.keep(b"a picture", "10.0.0.1", "../../a photo.JPG")
    assert uploads.folder in path.parents
    assert uploads.take(str(path)) == b"a picture"
    with pytest.raises(ImageError, match="upload it again"):
        uploads.take(str(path))
    assert [file.name for file in uploads.folder.iterdir()] == ["lock"]
    uploads.close()


@pytest.mark.parametrize("path", ["/etc/passwd", "", "\0", "x" * 5000, "../x", "."])
def test_nothing_else_is_read_or_deleted(parent, path):
    uploads = Uploads()
    outside = parent / "outside"
    outside.write_bytes(b"x")
    (uploads.folder / "link").symlink_to(outside)
    for tried in (path, str(uploads.folder / "link"), str(uploads.folder / ".." / "outside")):
        with pytest.raises(ImageError):
            uploads.take(tried)
        uploads.forget(tried)
    assert outside.exists()
    uploads.close()


KILLED = """
import os, sys
from emotion.ui.uploads import Uploads
uploads = Uploads()
uploads.keep(b"a picture", "10.0.0.1")
print(uploads.folder, flush=True)
sys.stdin.read(1)
os.kill(os.getpid(), 9)
"""


def test_the_next_server_deletes_what_a_killed_one_left_and_nothing_of_one_that_runs(parent):
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        cwd=REPOSITORY,
        env={**os.environ, "GRADIO_TEMP_DIR": str(parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.stdout is not None
    folder = Path(killed.stdout.readline().strip())
    alive = Uploads()
    assert folder.exists()
    alive.close()
    killed.communicate("x")
    assert len(list(folder.glob("*/*"))) == 1
    Uploads().close()
    assert not folder.exists()


def test_what_looks_like_a_folder_of_ours_but_is_none_stays(parent):
    other = parent / "other"
    other.mkdir()
    (other / "file").write_bytes(b"x")
    (parent / "emotion-uploads-link").symlink_to(other)
    made_now = parent / "emotion-uploads-now"
    made_now.mkdir()
    Uploads().close()
    assert (other / "file").exists()
    assert made_now.exists()
    os.utime(made_now, (time.time() - 1e6,) * 2)
    Uploads().close()
    assert not made_now.exists()


def test_a_place_where_no_folder_can_be_made_is_said_in_a_sentence(parent, monkeypatch):
    (parent / "file").write_bytes(b"x")
    monkeypatch.setattr(module, "_PARENT", str(parent / "file"))
    with pytest.raises(ConfigError, match="GRADIO_TEMP_DIR"):
        Uploads()


def test_what_has_no_room_is_refused_before_it_is_read(parent, monkeypatch):
    monkeypatch.setattr("emotion.ui.uploads.PER_ADDRESS", (9, 100))
    uploads = Uploads()
    path = uploads.keep(b"x" * 60, "ann")
    assert uploads.has_room("ann", 40)
    assert not uploads.has_room("ann", 41)
    assert uploads.has_room("bob", 100)
    uploads.take(str(path))
    assert uploads.has_room("ann", 100)
    uploads.close()
