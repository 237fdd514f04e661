from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora import load_corpus

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
VOTES = ("neutral", *LABELS, "contempt", "unknown", "NF")


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


def _votes(rows: dict[int, dict[str, int]]) -> str:
    """FER+ for the table above: ten votes for neutral, except in ``rows``."""
    lines = ["Usage,Image name," + ",".join(VOTES)]
    for number in range(42):
        votes = rows.get(number, {"neutral": 10})
        cells = [str(votes.get(name, 0)) for name in VOTES]
        lines.append(f"{USAGES[number // 14]},fer{number:07d}.png," + ",".join(cells))
    return "\n".join(lines) + "\n"


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
    with pytest.raises(DataError, match="not readable csv"):
        load_corpus("fer2013", pack({"fer2013.csv": b"\xff\xfe\x00" * 50}))


def test_ferplus_votes_become_a_distribution_over_the_six(pack):
    votes = _votes({3: {"happiness": 6, "surprise": 2, "neutral": 2}})
    corpus = load_corpus("fer2013", pack({"fer2013.csv": FER_CSV, "fer2013new.csv": votes}))
    rows = {row["sample_id"]: row["soft_label"] for row in corpus.splits["train"]}
    np.testing.assert_allclose(rows["fer0000003"], [0.75, 0.25, 0, 0, 0, 0])


def test_a_ferplus_majority_outside_the_six_keeps_the_hard_label_and_is_listed(pack):
    votes = _votes({3: {"happiness": 4, "contempt": 3, "unknown": 2, "NF": 1}})
    corpus = load_corpus("fer2013", pack({"fer2013.csv": FER_CSV, "fer2013new.csv": votes}))
    row = next(row for row in corpus.splits["train"] if row["sample_id"] == "fer0000003")
    assert row["label"] == LABELS.index("happiness")
    assert row["soft_label"] is None
    assert "fer2013.csv, line 5" in [f.where for f in corpus.findings if f.kind == "no soft label"]


def test_ferplus_of_another_table_is_refused(pack):
    votes = _votes({})
    shorter = "\n".join(votes.splitlines()[:-1])
    with pytest.raises(DataError, match=r"41 rows and fer2013\.csv has 42"):
        load_corpus("fer2013", pack({"fer2013.csv": FER_CSV, "fer2013new.csv": shorter}))


def test_ferplus_in_another_order_is_refused(pack):
    header, *lines = _votes({}).splitlines()
    swapped = "\n".join([header, *reversed(lines)])
    with pytest.raises(DataError, match="disagree about the split"):
        load_corpus("fer2013", pack({"fer2013.csv": FER_CSV, "fer2013new.csv": swapped}))


def test_ferplus_beside_folders_is_listed_as_unused(pack, fer_folders):
    corpus = load_corpus("fer2013", pack(fer_folders | {"fer2013new.csv": _votes({}).encode()}))
    assert corpus.finding_counts == {"unused file": 1}
