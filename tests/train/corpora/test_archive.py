from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from emotion.errors import DataError
from train.corpora.archive import Archive, open_archive, read_location

CONTENT = {"a/one.jpg": b"1", "a/two.txt": b"22", "three.csv": b"333"}


def _read_all(archive: Archive) -> dict[str, bytes]:
    return {name: archive.read(name) for name in archive.sizes}


def test_a_folder_and_a_zip_of_the_same_files_look_the_same(as_folder, as_zip):
    folder, zipped = open_archive(as_folder(CONTENT)), open_archive(as_zip(CONTENT))
    assert dict(folder.sizes) == dict(zipped.sizes)
    assert _read_all(folder) == _read_all(zipped) == CONTENT


def test_system_files_are_not_part_of_the_corpus(pack):
    junk = ("__MACOSX/a/._one.jpg", "a/.DS_Store", "a/Thumbs.db", "a/._one.jpg")
    archive = open_archive(pack(CONTENT | dict.fromkeys(junk, b"x")))
    assert set(archive.sizes) == set(CONTENT)


def test_backslashes_of_a_zip_made_on_windows_become_slashes(as_zip):
    archive = open_archive(as_zip({"a\\b\\one.jpg": b"1"}))
    assert archive.read("a/b/one.jpg") == b"1"


@pytest.mark.parametrize("name", ["../one.jpg", "a/../../one.jpg", "/etc/one.jpg", "C:\\one.jpg"])
def test_a_zip_with_a_name_outside_of_itself_is_refused(as_zip, name):
    with pytest.raises(DataError, match="points outside"):
        open_archive(as_zip({"good.jpg": b"1", name: b"2"}))


def test_a_member_that_grows_a_hundredfold_is_refused_before_it_is_read(as_zip):
    with pytest.raises(DataError, match="zip bomb"):
        open_archive(as_zip({"good.jpg": b"1", "bomb.csv": bytes(50_000_000)}))


def test_many_small_members_that_add_up_to_a_bomb_are_refused(as_zip):
    with pytest.raises(DataError, match="zip bomb"):
        open_archive(as_zip({f"{number}.jpg": bytes(1_000_000) for number in range(20)}))


def test_members_that_share_the_same_bytes_are_refused(tmp_path: Path):
    path = tmp_path / "overlap.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.jpg", bytes(range(256)) * 400)
        for number in range(3):
            twin = copy(archive.filelist[0])
            twin.filename = f"twin{number}.jpg"
            archive.filelist.append(twin)
    with pytest.raises(DataError, match="same bytes several times"):
        open_archive(path)


def test_an_encrypted_zip_is_refused_with_a_way_out(as_zip):
    path = as_zip({"one.jpg": b"1"})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the directory's flag for encryption
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted; unpack it"):
        open_archive(path)


def test_the_same_name_twice_is_refused(tmp_path: Path):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("one.jpg", b"2")
    with pytest.raises(DataError, match=r"holds one\.jpg twice"):
        open_archive(path)


def test_a_truncated_zip_is_named_as_such(as_zip):
    path = as_zip(CONTENT)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="not a complete zip"):
        open_archive(path)


def test_damage_inside_a_zip_surfaces_when_the_member_is_read(tmp_path: Path):
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.jpg", b"0123456789")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780", 1))
    with pytest.raises(DataError, match=r"one\.jpg .* is damaged"):
        open_archive(path).read("one.jpg")


def test_a_member_above_the_limit_is_not_read(pack):
    archive = open_archive(pack(CONTENT))
    with pytest.raises(DataError, match="more than the 2 that are read"):
        archive.read("three.csv", limit=2)


def test_a_missing_path_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere\.zip does not exist"):
        open_archive(tmp_path / "nowhere.zip")


def test_an_empty_folder_holds_no_corpus(tmp_path: Path):
    with pytest.raises(DataError, match="holds no files"):
        open_archive(tmp_path)


def test_a_link_back_up_the_tree_does_not_repeat_the_files(as_folder):
    folder = as_folder(CONTENT)
    (folder / "a" / "again").symlink_to(folder, target_is_directory=True)
    assert set(open_archive(folder).sizes) == set(CONTENT)


def test_worker_processes_read_one_archive_at_the_same_time(as_zip):
    noise = np.random.default_rng(0)
    files = {f"{number}.bin": noise.bytes(50_000) for number in range(40)}
    archive = open_archive(as_zip(files))
    assert _read_all(archive) == files  # the zip is open when the workers are forked
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        results = list(pool.map(_read_all, [archive] * 4))
    assert results == [files] * 4


def test_an_archive_survives_pickling(pack):
    archive = pickle.loads(pickle.dumps(open_archive(pack(CONTENT))))
    assert _read_all(archive) == CONTENT


def test_a_location_leads_back_to_the_bytes(pack: Callable[..., Path]):
    archive = open_archive(pack(CONTENT))
    assert read_location(archive.locate("a/one.jpg")) == b"1"


def test_a_location_whose_file_is_gone_is_an_error(pack):
    archive = open_archive(pack(CONTENT))
    location = archive.locate("a/one.jpg").replace("one", "other")
    with pytest.raises(DataError, match="cannot be read any more"):
        read_location(location)
