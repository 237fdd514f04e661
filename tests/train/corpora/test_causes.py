from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from emotion.errors import DataError
from train.corpora import load_corpus
from train.corpora.archive import open_archive


def _zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("corpus", ["fer2013", "raf-db", "affectnet"])
def test_an_archive_in_the_archive_is_named(pack, fer_folders, corpus):
    path = pack({"download/faces.zip": _zipped(fer_folders), "download/note.txt": "x"})
    with pytest.raises(DataError, match=r"still packed in download/faces\.zip, unpack that"):
        load_corpus(corpus, path)


def test_an_archive_in_a_folder_of_ones_own_is_named(pack, fer_folders):
    path = pack({"faces.tar.gz": b"x"})
    with pytest.raises(DataError, match=r"still packed in faces\.tar\.gz"):
        load_corpus("mine", f"folder:{path}")


def test_the_official_list_beside_pictures_that_are_still_packed_is_told_so(pack):
    files = {
        "EmoLabel/list_patition_label.txt": "train_00001.jpg 5\ntest_0001.jpg 3\n",
        "Image/aligned.zip": b"x",
    }
    with pytest.raises(DataError, match=r"2 times label without image; .*aligned\.zip, unpack"):
        load_corpus("raf-db", pack(files))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("image;label\ntrain_1.jpg;4\n", "separated by semicolons; save it with commas"),
        ("image\tlabel\ntrain_1.jpg\t4\n", "separated by tabs"),
        ("image,label\ntrain_1.jpg,4\n".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("image,label\ntrain_1.jpg,4\n".encode("utf-16-be"), "UTF-16 text"),
    ],
)
def test_a_table_that_cannot_be_read_is_named_with_its_cause(pack, picture, content, cause):
    path = pack({"train_labels.csv": content, "images/train_1.jpg": picture(1)})
    with pytest.raises(DataError, match=r"train_labels\.csv cannot be used: .*") as caught:
        load_corpus("raf-db", path)
    assert cause in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_a_known_table_that_cannot_be_read_is_told_why(pack, encoding):
    mark = ";" if encoding == "utf-8" else ","
    table = f"emotion{mark}pixels{mark}Usage\n".encode(encoding)
    with pytest.raises(
        DataError, match=r"fer2013\.csv is not readable csv: it.* (UTF-16|semicolons)"
    ):
        load_corpus("fer2013", pack({"fer2013.csv": table}))


def test_class_folders_without_splits_are_told_how_they_can_be_read(pack, picture):
    path = pack({f"{name}/1.jpg": picture(1) for name in ("happy", "sad", "angry")})
    with pytest.raises(DataError, match="as pictures of your own: NAME=folder:PATH"):
        load_corpus("fer2013", path)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "rar", "7z"])
def test_an_archive_of_another_kind_is_named(tmp_path, kind):
    path = tmp_path / f"faces.{kind}"
    if kind.startswith("tar"):
        with tarfile.open(path, f"w:{kind[4:]}") as archive:
            archive.add(__file__, "a.txt")
    else:
        path.write_bytes({"rar": b"Rar!\x1a\x07", "7z": b"7z\xbc\xaf\x27\x1c"}[kind] + bytes(99))
    with pytest.raises(DataError, match=rf"(?i)is a (gzip or )?{kind} archive; unp") as caught:
        open_archive(path)
    assert "\n" not in str(caught.value)
