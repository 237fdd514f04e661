from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora import load_corpus

MEANING = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
}


@pytest.fixture
def flat(picture):
    """Images without class folders, labelled by a csv per split."""
    files = {}
    for split, width in (("train", 5), ("test", 4)):
        rows = ["image,label"]
        for label in range(1, 8):
            name = f"{split}_{label:0{width}d}_aligned.jpg"
            files[f"images/{name}"] = picture(label, 100)
            rows.append(f"{name},{label}")
        files[f"{split}_labels.csv"] = "\n".join(rows) + "\n"
    return files


@pytest.fixture
def official(picture):
    """The official release, both image folders and the annotations of the original images."""
    files, lines = {}, []
    for split, width in (("train", 5), ("test", 4)):
        for label in range(1, 8):
            stem = f"{split}_{label:0{width}d}"
            lines.append(f"{stem}.jpg {label}")
            files[f"basic/Image/aligned/{stem}_aligned.jpg"] = picture(label, 100)
            files[f"basic/Image/original/{stem}.jpg"] = picture(label, 200)
            files[f"basic/Annotation/boundingbox/{stem}_boundingbox.txt"] = "10.5 20 110 140 \n"
            files[f"basic/Annotation/manual/{stem}_manu_attri.txt"] = (
                "40\t60\n80\t61\n60\t80\n45\t100\n75\t101\n1\n0\n2\n"
            )
    files["basic/EmoLabel/list_patition_label.txt"] = "\n".join(lines) + "\n"
    return files


def _labels(rows):
    pairs = zip(rows["original_label"], rows["label"], strict=True)
    return {original: LABELS[label] for original, label in pairs}


def test_kaggle_folders_become_the_six_labels(pack, raf_folders):
    corpus = load_corpus("raf-db", pack(raf_folders))
    assert _labels(corpus.splits["train"]) == _labels(corpus.splits["test"]) == MEANING
    assert corpus.findings == ()


def test_neutral_images_of_both_splits_are_kept_apart(pack, raf_folders):
    other = load_corpus("raf-db", pack(raf_folders)).splits["other"]
    assert sorted(zip(other["split"], other["original_label"], strict=True)) == [
        ("test", "7"),
        ("train", "7"),
    ]


def test_a_missing_class_folder_is_refused_by_name(pack, raf_folders):
    files = {n: c for n, c in raf_folders.items() if "/train/2/" not in n}
    with pytest.raises(DataError, match="no images of fear in its folder train"):
        load_corpus("raf-db", pack(files))


def test_a_row_without_image_and_an_image_without_row_are_listed(pack, raf_folders, picture):
    raf_folders["DATASET/train/4/train_00099_aligned.jpg"] = picture(99)
    raf_folders["train_labels.csv"] += "train_00098_aligned.jpg,4\n"
    corpus = load_corpus("raf-db", pack(raf_folders))
    assert sorted((f.kind, f.where) for f in corpus.findings) == [
        ("image without label", "DATASET/train/4/train_00099_aligned.jpg"),
        ("label without image", "train_labels.csv, line 9"),
    ]
    assert "train/4/train_00099_aligned.jpg" in corpus.splits["train"]["sample_id"]


def test_a_folder_that_is_no_split_is_left_out_and_said(pack, raf_folders, picture):
    raf_folders["DATASET/val/4/one.jpg"] = picture(99)
    corpus = load_corpus("raf-db", pack(raf_folders))
    assert [(f.kind, f.where) for f in corpus.findings] == [("unused folder", "DATASET/val/4")]


def test_a_csv_that_contradicts_the_folder_is_listed(pack, raf_folders):
    raf_folders["train_labels.csv"] = raf_folders["train_labels.csv"].replace(
        "train_00004_aligned.jpg,4", "train_00004_aligned.jpg,5"
    )
    corpus = load_corpus("raf-db", pack(raf_folders))
    assert Counter(finding.kind for finding in corpus.findings) == {"contradicting labels": 1}
    assert corpus.totals["train"] == 6


def test_folders_need_no_csv(pack, raf_folders):
    files = {name: content for name, content in raf_folders.items() if name.endswith(".jpg")}
    corpus = load_corpus("raf-db", pack(files))
    assert corpus.totals == {"train": 6, "test": 6}
    assert corpus.findings == ()


def test_flat_images_are_labelled_by_the_csv_of_their_split(pack, flat):
    corpus = load_corpus("raf-db", pack(flat))
    assert corpus.layout == "flat images with csv"
    assert _labels(corpus.splits["train"]) == _labels(corpus.splits["test"]) == MEANING
    assert len(corpus.splits["other"]) == 2


def test_equal_names_in_two_split_folders_are_told_apart(pack, picture):
    files = {}
    for offset, split in ((0, "train"), (10, "test")):
        rows = ["image,label", *(f"{label}.jpg,{label}" for label in range(1, 8))]
        files[f"{split}_labels.csv"] = "\n".join(rows)
        for label in range(1, 8):
            files[f"{split}/{label}.jpg"] = picture(offset + label)
    for split in ("train", "test"):
        for row in load_corpus("raf-db", pack(files)).splits[split]:
            assert row["image"]["bytes"] == files[f"{split}/{row['original_label']}.jpg"]


def test_an_unknown_label_is_left_out_and_listed_with_its_line(pack, flat):
    flat["train_labels.csv"] = flat["train_labels.csv"].replace("jpg,3", "jpg,8")
    corpus = load_corpus("raf-db", pack(flat))
    assert [(f.kind, f.where) for f in corpus.findings] == [
        ("unknown class", "train_labels.csv, line 4")
    ]
    assert corpus.totals == {"train": 5, "test": 6}


def test_leftovers_of_flat_images_are_listed_on_both_sides(pack, flat, picture):
    flat["images/train_00099_aligned.jpg"] = picture(99)
    flat["train_labels.csv"] += "train_00098_aligned.jpg,4\n"
    corpus = load_corpus("raf-db", pack(flat))
    assert sorted((f.kind, f.where) for f in corpus.findings) == [
        ("image without label", "images/train_00099_aligned.jpg"),
        ("label without image", "train_labels.csv, line 9"),
    ]


def test_the_official_release_prefers_aligned_images(pack, official):
    corpus = load_corpus("raf-db", pack(official))
    assert corpus.layout == "official, aligned images"
    assert _labels(corpus.splits["train"]) == _labels(corpus.splits["test"]) == MEANING
    assert set(corpus.splits["train"]["box"]) == {None}


def test_original_images_bring_their_boxes_and_landmarks(pack, official):
    files = {n: c for n, c in official.items() if "/aligned/" not in n}
    corpus = load_corpus("raf-db", pack(files))
    assert corpus.layout == "official, original images"
    row = corpus.splits["test"][0]
    np.testing.assert_allclose(row["box"], [10.5, 20, 110, 140])
    np.testing.assert_allclose(row["landmarks"], [40, 60, 80, 61, 60, 80, 45, 100, 75, 101])


def test_a_damaged_annotation_costs_only_itself(pack, official):
    files = {n: c for n, c in official.items() if "/aligned/" not in n}
    name = "basic/Annotation/boundingbox/train_00004_boundingbox.txt"
    files[name] = "10 twenty"
    corpus = load_corpus("raf-db", pack(files))
    assert [(f.kind, f.where) for f in corpus.findings] == [("unreadable annotation", name)]
    row = next(row for row in corpus.splits["train"] if row["original_label"] == "4")
    assert row["box"] is None
    assert row["landmarks"] is not None


def test_the_compound_subset_beside_basic_is_not_mixed_in(pack, official, picture):
    official["compound/EmoLabel/list_patition_label.txt"] = "train_00001.jpg 11\n"
    official["compound/Image/aligned/train_00001_aligned.jpg"] = picture(77)
    corpus = load_corpus("raf-db", pack(official))
    row = next(row for row in corpus.splits["train"] if row["original_label"] == "1")
    assert row["image"]["bytes"] == official["basic/Image/aligned/train_00001_aligned.jpg"]
    assert corpus.totals == {"train": 6, "test": 6}
    left_out = [(f.where, f.detail) for f in corpus.findings if f.kind == "unused folder"]
    assert ("compound/Image/aligned", "1 pictures; left out") in left_out


def test_official_lines_are_checked(pack, official):
    official["basic/EmoLabel/list_patition_label.txt"] += (
        "train_00050.jpg 4\ntrain_00001.jpg 1\n\nvalid_00001.jpg 1\n"
    )
    official["basic/Image/aligned/valid_00001_aligned.jpg"] = b"x"
    corpus = load_corpus("raf-db", pack(official))
    place = "basic/EmoLabel/list_patition_label.txt, line"
    assert [(f.kind, f.where) for f in corpus.findings] == [
        ("label without image", f"{place} 15"),
        ("listed twice", f"{place} 16"),
        ("unknown split", f"{place} 18"),
        ("unused folder", "basic/Image/original"),
    ]


def test_another_layout_is_described_and_the_understood_ones_are_named(pack, fer_folders):
    with pytest.raises(
        DataError, match=r"train/<1\.\.7>.*list_patition_label.*found instead 28 files"
    ):
        load_corpus("raf-db", pack(fer_folders))
