from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora import load_corpus

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")


def _pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (48, 48), np.uint8)


def _table(header: str, columns: str) -> str:
    """Two rows of each emotion in each split, in fer2013.csv's order of columns or another."""
    lines = [header]
    for number in range(42):
        values = {
            "emotion": number % 7,
            "pixels": " ".join(map(str, _pixels(number).ravel())),
            "usage": USAGES[number // 14],
        }
        lines.append(",".join(str(values[column]) for column in columns.split()))
    return "\n".join(lines) + "\n"


FER_CSV = _table("emotion,pixels,Usage", "emotion pixels usage")


def test_kaggle_folders_are_split_by_file_name(pack, fer_folders):
    corpus = load_corpus("fer2013", pack(fer_folders))
    lengths = {split: len(rows) for split, rows in corpus.splits.items()}
    assert lengths == {"train": 12, "public": 6, "private": 6, "other": 4}


def test_neutral_rows_stay_out_of_the_splits_and_keep_their_own_split(pack, fer_folders):
    other = load_corpus("fer2013", pack(fer_folders)).splits["other"]
    assert set(other["original_label"]) == {"neutral"}
    assert set(other["label"]) == {-1}
    assert sorted(other["split"]) == ["private", "public", "train", "train"]


def test_folder_names_become_the_six_labels(pack, fer_folders):
    rows = load_corpus("fer2013", pack(fer_folders)).splits["train"]
    named = {
        original: LABELS[label]
        for original, label in zip(rows["original_label"], rows["label"], strict=True)
    }
    assert named == {
        "angry": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "sad": "sadness",
        "surprise": "surprise",
    }


def test_images_come_undecoded_and_unchanged(pack, fer_folders):
    for row in load_corpus("fer2013", pack(fer_folders)).splits["public"]:
        assert row["image"]["bytes"] == fer_folders[row["sample_id"]]


def test_folders_above_the_split_folders_do_not_matter(pack, fer_folders):
    deeper = {f"archive/fer2013/{name}": content for name, content in fer_folders.items()}
    deeper["archive/README.txt"] = b"about"
    rows = load_corpus("fer2013", pack(deeper)).splits["train"]
    assert set(rows["sample_id"]) <= set(fer_folders)


def test_the_name_decides_the_split_even_in_the_wrong_folder(pack, fer_folders, picture):
    fer_folders["train/happy/PublicTest_99.jpg"] = picture(99)
    public = load_corpus("fer2013", pack(fer_folders)).splits["public"]
    assert "train/happy/PublicTest_99.jpg" in public["sample_id"]


def test_a_test_image_whose_name_tells_no_split_is_left_out_and_listed(pack, fer_folders, picture):
    fer_folders["test/happy/im7.jpg"] = picture(99)
    corpus = load_corpus("fer2013", pack(fer_folders))
    assert [(f.kind, f.where) for f in corpus.findings] == [("unknown split", "test/happy/im7.jpg")]
    assert len(corpus.splits["public"]) + len(corpus.splits["private"]) == 12


def test_a_missing_class_folder_is_refused_by_name(pack, fer_folders):
    files = {n: c for n, c in fer_folders.items() if not n.startswith("train/disgust/")}
    with pytest.raises(DataError, match="no images of disgust in its folder train"):
        load_corpus("fer2013", pack(files))


def test_images_in_an_unknown_class_folder_are_left_out_and_listed(pack, fer_folders, picture):
    fer_folders["train/bored/Training_1.jpg"] = picture(99)
    corpus = load_corpus("fer2013", pack(fer_folders))
    assert [(f.kind, f.where) for f in corpus.findings] == [
        ("unknown class", "train/bored/Training_1.jpg")
    ]
    assert len(corpus.splits["train"]) == 12


def test_folders_that_are_no_split_are_left_out_and_said(pack, fer_folders, picture):
    fer_folders["val/happy/im1.jpg"] = fer_folders["val/happy/im2.jpg"] = picture(98)
    fer_folders["train/im3.jpg"] = picture(99)
    corpus = load_corpus("fer2013", pack(fer_folders))
    assert [(f.kind, f.where, f.detail) for f in corpus.findings] == [
        ("unused folder", "train", "1 pictures; left out"),
        ("unused folder", "val/happy", "2 pictures; left out"),
    ]


def test_pictures_beside_a_csv_are_left_out_and_said(pack, fer_folders):
    corpus = load_corpus("fer2013", pack({**fer_folders, "fer2013.csv": FER_CSV}))
    assert len(corpus.splits["train"]) == 12
    assert {f.kind for f in corpus.findings} == {"unused folder"}
    assert len(corpus.findings) == 14


def test_folders_named_after_the_usage_are_splits(pack, picture):
    files = {}
    for number, emotion in enumerate(
        ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    ):
        for place, usage in enumerate(("Training", "PublicTest", "PrivateTest")):
            files[f"FER/{usage}/{emotion}/{number}.jpg"] = picture(10 * number + place)
    corpus = load_corpus("fer2013", pack(files))
    assert corpus.totals == {"train": 6, "public": 6, "private": 6}
    assert corpus.findings == ()


def test_a_csv_can_be_named_itself(as_folder):
    path = as_folder({"fer2013.csv": FER_CSV, "deep/happy/1.jpg": b""}) / "fer2013.csv"
    corpus = load_corpus("fer2013", path)
    assert corpus.totals == {"train": 12, "public": 12, "private": 12}
    assert corpus.findings == ()
    with pytest.raises(DataError, match="does not exist"):
        load_corpus("fer2013", path.with_name("none.csv"))


def test_a_map_behind_the_path_explains_words_and_numbers(as_folder, fer_folders):
    files = {name.replace("/happy/", "/3/"): data for name, data in fer_folders.items()}
    path = as_folder({name.replace("/sad/", "/traurig/"): data for name, data in files.items()})
    corpus = load_corpus("fer2013", f"{path},3=joy,Traurig=sadness")
    assert corpus.totals == {"train": 12, "public": 6, "private": 6}
    assert corpus.findings == ()


def test_two_corpora_side_by_side_are_refused(pack, fer_folders):
    twice = {f"{top}/{name}": data for top in ("a", "b") for name, data in fer_folders.items()}
    with pytest.raises(DataError, match=r"side by side \(a, b\)"):
        load_corpus("fer2013", pack(twice))


def test_another_layout_is_described_and_the_understood_ones_are_named(pack, raf_folders):
    with pytest.raises(DataError) as caught:
        load_corpus("fer2013", pack(raf_folders))
    message = str(caught.value)
    assert "train/<emotion>" in message
    assert "icml_face_data.csv" in message
    assert "14 .jpg" in message
    assert "\n" not in message


def test_an_empty_image_stays_a_row_and_is_listed(pack, fer_folders):
    fer_folders["train/happy/Training_30.jpg"] = b""
    corpus = load_corpus("fer2013", pack(fer_folders))
    assert [(f.kind, f.where) for f in corpus.findings] == [
        ("zero-byte image", "train/happy/Training_30.jpg")
    ]
    empty = [row for row in corpus.splits["train"] if not row["image"]["bytes"]]
    assert [row["sample_id"] for row in empty] == ["train/happy/Training_30.jpg"]


def test_a_truncated_image_stays_a_row_for_the_decoder_to_judge(pack, fer_folders):
    name = "train/happy/Training_30.jpg"
    fer_folders[name] = fer_folders[name][:40]
    rows = load_corpus("fer2013", pack(fer_folders)).splits["train"]
    assert name in rows["sample_id"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fer2013.csv", FER_CSV),
        ("icml_face_data.csv", _table("emotion, Usage, pixels", "emotion usage pixels")),
        ("fer2013/fer2013.csv", FER_CSV),
    ],
)
def test_csv_layouts_are_split_by_usage(pack, name, text):
    corpus = load_corpus("fer2013", pack({name: text}))
    assert corpus.totals == {"train": 12, "public": 12, "private": 12}
    assert len(corpus.splits["other"]) == 6


def test_csv_pixels_survive_exactly(pack):
    rows = load_corpus("fer2013", pack({"fer2013.csv": FER_CSV})).splits["public"]
    assert rows[0]["sample_id"] == "fer0000014"
    decoded = cv2.imdecode(np.frombuffer(rows[0]["image"]["bytes"], np.uint8), -1)
    np.testing.assert_array_equal(decoded, _pixels(14))


def test_csv_emotion_numbers_become_the_six_labels(pack):
    corpus = load_corpus("fer2013", pack({"fer2013.csv": FER_CSV}))
    for row in [*corpus.splits["train"], *corpus.splits["other"]]:
        expected = EMOTIONS[int(row["original_label"])]
        assert row["label"] == (LABELS.index(expected) if expected in LABELS else -1)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("9,{pixels},Training", "unknown class"),
        ("happy,{pixels},Training", "unknown class"),
        ("3,{pixels},Validation", "unknown split"),
        ("3,1 2 3,Training", "unreadable image"),
        ("3,{pixels} 256,Training", "unreadable image"),
        ("3,{pixels} seven,Training", "unreadable image"),
        ("3,-{pixels},Training", "unreadable image"),
        ("3,0.{pixels},Training", "unreadable image"),
        ("3,,Training", "unreadable image"),
        ("3", "unknown split"),
    ],
)
def test_a_bad_csv_row_is_left_out_and_listed_with_its_line(pack, row, kind):
    bad = row.format(pixels=" ".join(["7"] * 2304))
    corpus = load_corpus("fer2013", pack({"fer2013.csv": FER_CSV + bad + "\n"}))
    assert [(f.kind, f.where) for f in corpus.findings] == [(kind, "fer2013.csv, line 44")]
    assert sum(corpus.totals.values()) == 36


def test_a_csv_without_a_needed_column_is_refused_by_name(pack):
    with pytest.raises(DataError, match="has no column usage; it has emotion, pixels"):
        load_corpus("fer2013", pack({"fer2013.csv": "emotion,pixels\n3,1\n"}))


def test_a_csv_that_is_no_text_is_refused(pack):
    with pytest.raises(DataError, match="not readable csv: it is UTF-16"):
        load_corpus("fer2013", pack({"fer2013.csv": b"\xff\xfe\x00" * 50}))


def test_csv_pictures_that_are_black_are_no_faces_and_count_as_published(pack):
    black = "3," + " ".join(["0"] * 2304)
    table = FER_CSV + f"{black},Training\n{black},PublicTest\n"
    corpus = load_corpus("fer2013", pack({"fer2013.csv": table}))
    assert [(f.kind, f.where) for f in corpus.findings] == [("no face", "fer2013.csv, line 44")]
    assert corpus.totals == {"train": 12, "public": 13, "private": 12}
    assert "happiness 3 (published" in corpus.differences[0]


def test_kaggle_pictures_known_to_show_no_face_are_left_out_of_training(pack, fer_folders, picture):
    fer_folders["train/happy/Training_87607167.jpg"] = picture(70)
    fer_folders["test/happy/PublicTest_21832858.jpg"] = picture(71)
    corpus = load_corpus("fer2013", pack(fer_folders))
    assert [(f.kind, f.where) for f in corpus.findings] == [
        ("no face", "test/happy/PublicTest_21832858.jpg"),
        ("no face", "train/happy/Training_87607167.jpg"),
    ]
    assert "stays" in corpus.findings[0].detail
    assert corpus.totals == {"train": 12, "public": 7, "private": 6}
