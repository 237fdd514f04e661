from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora import load_corpus
from train.corpora.affectnet import five_landmarks

MEANING = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
}
FOLDERS = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
OFFICIAL = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    "expression,valence,arousal"
)
POINTS = np.random.default_rng(0).uniform(20, 200, (68, 2)).round(2)


def _labels(rows):
    pairs = zip(rows["original_label"], rows["label"], strict=True)
    return {original.lower(): LABELS[label] for original, label in pairs}


def _official_row(path, expression):
    points = ";".join(map(str, POINTS.ravel()))
    return f"{path},10,20,100,120,{points},{expression},0.1,-0.2"


@pytest.fixture
def kaggle(picture):
    """Ten images per class folder, and labels.csv with an index column."""
    files, rows = {}, [",pth,label,relFCs"]
    for number in range(80):
        name = f"{FOLDERS[number % 8]}/image{number:07d}.jpg"
        files[name] = picture(number, 96)
        rows.append(f"{number},{name},{FOLDERS[number % 8]},0.87")
    files["labels.csv"] = "\n".join(rows) + "\n"
    return files


@pytest.fixture
def official(picture):
    """Two training images and one validation image of each of the eight expressions."""
    files = {}
    for table, copies in (("training", 2), ("validation", 1)):
        rows = [HEADER]
        for number in range(8 * copies):
            name = f"{number}/{table}{number}.jpg"
            files[f"Manually_Annotated_Images/{name}"] = picture(number, 224)
            rows.append(_official_row(name, number % 8))
        files[f"Manually_Annotated_file_lists/{table}.csv"] = "\n".join(rows) + "\n"
    return files


def test_data_yaml_decides_what_the_class_ids_mean(pack, affectnet_yolo):
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    for split in ("train", "valid", "test"):
        assert _labels(corpus.splits[split]) == MEANING
    assert set(corpus.splits["other"]["original_label"]) == {"Contempt", "Neutral"}
    assert corpus.findings == ()


def test_another_order_of_names_gives_other_labels(pack, affectnet_yolo):
    affectnet_yolo["YOLO_format/data.yaml"] = "names:\n  0: Happy\n  4: Anger\n"
    corpus = load_corpus("affectnet", pack(affectnet_yolo), splits=["train"])
    named = {row["sample_id"]: LABELS[row["label"]] for row in corpus.splits["train"]}
    assert named == {
        "train/images/anger_0.jpg": "happiness",
        "train/images/happy_4.jpg": "anger",
    }
    assert Counter(finding.kind for finding in corpus.findings) == {"unknown class": 18}


def test_boxes_are_in_pixels(pack, affectnet_yolo):
    row = load_corpus("affectnet", pack(affectnet_yolo)).splits["valid"][0]
    assert row["box"] == [24, 36, 72, 60]


def test_the_other_order_of_folders_is_understood_too(pack, affectnet_yolo):
    swapped = {
        name.replace("train/images", "images/train").replace("train/labels", "labels/train"): data
        for name, data in affectnet_yolo.items()
        if "/valid/" not in name and "/test/" not in name
    }
    assert load_corpus("affectnet", pack(swapped)).totals == {"train": 6}


def test_val_is_the_same_as_valid(pack, affectnet_yolo):
    renamed = {name.replace("/valid/", "/val/"): data for name, data in affectnet_yolo.items()}
    assert load_corpus("affectnet", pack(renamed)).totals["valid"] == 6


def test_label_without_image_and_image_without_label_are_listed(pack, affectnet_yolo, picture):
    affectnet_yolo["YOLO_format/train/images/alone.jpg"] = picture(99)
    affectnet_yolo["YOLO_format/train/labels/lonely.txt"] = "0 .5 .5 1 1\n"
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    assert sorted((f.kind, f.where) for f in corpus.findings) == [
        ("image without label", "YOLO_format/train/images/alone.jpg"),
        ("label without image", "YOLO_format/train/labels/lonely.txt"),
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8 .5 .5 1 1\n", "unknown class"),
        ("-1 .5 .5 1 1\n", "unknown class"),
        ("0 .5 .5\n", "unreadable annotation"),
        ("0 .5 .5 1 nan\n", "unreadable annotation"),
        ("0 .9 .5 .8 1\n", "unreadable annotation"),
        ("0 .5 .5 0 1\n", "unreadable annotation"),
    ],
)
def test_a_bad_label_line_is_left_out_and_listed_with_its_line(pack, affectnet_yolo, text, kind):
    name = "YOLO_format/train/labels/anger_0.txt"
    affectnet_yolo[name] = "\n" + text
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    assert [(f.kind, f.where) for f in corpus.findings] == [(kind, f"{name}, line 2")]
    assert corpus.totals["train"] == 5


def test_an_empty_label_file_is_an_image_without_label(pack, affectnet_yolo):
    affectnet_yolo["YOLO_format/train/labels/anger_0.txt"] = ""
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    assert Counter(finding.kind for finding in corpus.findings) == {"image without label": 1}


def test_of_several_faces_the_largest_counts_and_it_is_listed(pack, affectnet_yolo):
    name = "YOLO_format/train/labels/anger_0.txt"
    affectnet_yolo[name] = "4 .2 .2 .1 .1\n6 .5 .5 .5 .5\n0 .8 .8 .2 .2\n"
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    row = next(r for r in corpus.splits["train"] if r["sample_id"].endswith("anger_0.jpg"))
    assert LABELS[row["label"]] == "sadness"
    assert Counter(finding.kind for finding in corpus.findings) == {"several faces": 1}


@pytest.mark.parametrize("text", ["nc: 8\n", "names: 3\n", "names: [a\n", "", "\x00"])
def test_a_data_yaml_without_names_is_refused(pack, affectnet_yolo, text):
    affectnet_yolo["YOLO_format/data.yaml"] = text
    with pytest.raises(DataError, match="does not list the classes"):
        load_corpus("affectnet", pack(affectnet_yolo))


def test_an_image_that_cannot_be_opened_stays_a_row_without_box(pack, affectnet_yolo):
    affectnet_yolo["YOLO_format/train/images/anger_0.jpg"] = b"not an image"
    rows = load_corpus("affectnet", pack(affectnet_yolo)).splits["train"]
    row = next(row for row in rows if row["sample_id"].endswith("anger_0.jpg"))
    assert row["box"] is None


def test_second_labels_are_joined_by_split_and_name(pack, affectnet_yolo):
    affectnet_yolo["second_labels.csv"] = (
        "split,image,label,relFCs\n"
        "train,anger_0.jpg,surprise,0.8\n"
        "train,fear_3.jpg,contempt,0.8\n"
        "valid,anger_0.jpg,anger,0.8\n"
    )
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    second = {
        (row["split"], row["original_label"]): row["second_label"]
        for split in ("train", "valid")
        for row in corpus.splits[split]
        if row["second_label"]
    }
    assert second == {
        ("train", "Anger"): "surprise",
        ("train", "Fear"): "contempt",
        ("valid", "Anger"): "anger",
    }


def test_useless_second_labels_are_listed_with_their_line(pack, affectnet_yolo):
    affectnet_yolo["second_labels.csv"] = (
        "split,image,label,relFCs\ntrain,anger_0.jpg,bored,0.8\ntrain,nobody.jpg,fear,0.8\n"
    )
    corpus = load_corpus("affectnet", pack(affectnet_yolo))
    assert sorted((f.kind, f.where) for f in corpus.findings) == [
        ("label without image", "second_labels.csv, line 3"),
        ("unknown class", "second_labels.csv, line 2"),
    ]


def test_labels_csv_names_become_the_six_labels(pack, kaggle):
    corpus = load_corpus("affectnet", pack(kaggle))
    assert _labels(corpus.splits["train"]) == MEANING
    assert sum(corpus.totals.values()) == 60
    assert len(corpus.splits["other"]) == 20
    assert corpus.findings == ()


def test_a_layout_without_split_gets_a_tenth_of_each_class_for_each_held_out_split(pack, kaggle):
    counts = load_corpus("affectnet", pack(kaggle)).class_counts
    for label in (*LABELS, "neutral", "contempt"):
        assert [counts[split][label] for split in ("train", "valid", "test")] == [8, 1, 1]


def test_the_seeded_split_does_not_depend_on_where_the_files_lie(kaggle, as_folder, as_zip):
    deeper = {f"somewhere/else/{name}": data for name, data in reversed(kaggle.items())}
    folder = load_corpus("affectnet", as_folder(kaggle)).splits
    zipped = load_corpus("affectnet", as_zip(deeper)).splits
    for split in ("train", "valid", "test"):
        assert sorted(folder[split]["sample_id"]) == sorted(zipped[split]["sample_id"])


def test_labels_csv_decides_and_the_folder_is_the_second_label(pack, kaggle):
    kaggle["labels.csv"] = kaggle["labels.csv"].replace("0000000.jpg,anger", "0000000.jpg,fear")
    corpus = load_corpus("affectnet", pack(kaggle))
    rows = [row for split in ("train", "valid", "test") for row in corpus.splits[split]]
    row = next(row for row in rows if row["sample_id"] == "anger/image0000000.jpg")
    assert (LABELS[row["label"]], row["second_label"]) == ("fear", "anger")


def test_split_folders_above_the_class_folders_are_kept(pack, kaggle):
    inside = {
        f"{'Train' if number % 5 else 'Test'}/{name}": data
        for number, (name, data) in enumerate(kaggle.items())
        if name != "labels.csv"
    }
    corpus = load_corpus("affectnet", pack(inside | {"labels.csv": kaggle["labels.csv"]}))
    assert set(corpus.counts) == {"train", "test"}


def test_labels_csv_leftovers_are_listed(pack, kaggle, picture):
    kaggle["anger/alone.jpg"] = picture(99)
    kaggle["labels.csv"] += (
        "80,anger/missing.jpg,anger,.8\n81,anger/image0000000.jpg,anger,.8\n"
        "82,fear/image0000003.jpg\n"
    )
    corpus = load_corpus("affectnet", pack(kaggle))
    assert sorted((f.kind, f.where) for f in corpus.findings) == [
        ("image without label", "anger/alone.jpg"),
        ("label without image", "labels.csv, line 82"),
        ("listed twice", "labels.csv, line 83"),
        ("listed twice", "labels.csv, line 84"),
    ]


def test_an_unknown_name_in_labels_csv_is_listed_with_its_line(pack, kaggle):
    kaggle["labels.csv"] = kaggle["labels.csv"].replace("0000000.jpg,anger", "0000000.jpg,bored")
    corpus = load_corpus("affectnet", pack(kaggle))
    assert [(f.kind, f.where) for f in corpus.findings] == [("unknown class", "labels.csv, line 2")]


def test_official_tables_give_the_official_splits(pack, official):
    corpus = load_corpus("affectnet", pack(official))
    assert corpus.totals == {"train": 12, "valid": 6}
    assert _labels(corpus.splits["train"]) == MEANING
    assert len(corpus.splits["other"]) == 6
    assert corpus.findings == ()


def test_official_boxes_and_landmarks_are_in_pixels(pack, official):
    row = load_corpus("affectnet", pack(official)).splits["valid"][0]
    assert row["box"] == [10, 20, 110, 140]
    np.testing.assert_allclose(row["landmarks"], five_landmarks(POINTS), rtol=1e-6)


def test_five_of_68_landmarks_are_eyes_nose_and_mouth_corners():
    points = np.zeros((68, 2))
    points[36:42] = [[1, 10], [3, 8], [5, 8], [7, 10], [5, 12], [3, 12]]
    points[42:48] = points[36:42] + np.array([20, 0])
    points[30], points[48], points[54] = (14, 20), (8, 30), (20, 31)
    assert five_landmarks(points) == (4, 10, 24, 10, 14, 20, 8, 30, 20, 31)


def test_images_without_expression_are_listed_and_left_out(pack, official, picture):
    for number, expression in enumerate((8, 9, 10)):
        name = f"99/none{number}.jpg"
        official[f"Manually_Annotated_Images/{name}"] = picture(number)
        row = f"{name},NULL,NULL,NULL,NULL,NULL,{expression},-2,-2\n"
        official["Manually_Annotated_file_lists/training.csv"] += row
    corpus = load_corpus("affectnet", pack(official))
    assert Counter(finding.kind for finding in corpus.findings) == {"no expression": 3}
    assert corpus.totals["train"] == 12


def test_official_rows_are_checked(pack, official, picture):
    official["Manually_Annotated_Images/99/bare.jpg"] = picture(99)
    official["Manually_Annotated_Images/99/alone.jpg"] = picture(98)
    official["Manually_Annotated_file_lists/training.csv"] += (
        "99/bare.jpg,NULL,NULL,NULL,NULL,,1,0,0\n"
        + _official_row("99/missing.jpg", 1)
        + "\n"
        + _official_row("0/training0.jpg", 11)
        + "\n"
    )
    corpus = load_corpus("affectnet", pack(official))
    place = "Manually_Annotated_file_lists/training.csv, line"
    assert sorted((f.kind, f.where) for f in corpus.findings) == [
        ("image without label", "Manually_Annotated_Images/99/alone.jpg"),
        ("label without image", f"{place} 19"),
        ("unknown class", f"{place} 20"),
        ("unreadable annotation", f"{place} 18"),
    ]


def test_two_faces_of_one_photo_are_two_samples(pack, official):
    official["Manually_Annotated_file_lists/training.csv"] += (
        _official_row("1/training1.jpg", 2) + "\n"
    )
    ids = load_corpus("affectnet", pack(official)).splits["train"]["sample_id"]
    assert Counter(ids)["1/training1.jpg"] == Counter(ids)["1/training1.jpg#2"] == 1


def test_automatic_annotations_are_listed_as_unused(pack, official):
    official["automatically_annotated.csv"] = HEADER + "\n"
    corpus = load_corpus("affectnet", pack(official))
    assert [(f.kind, f.where) for f in corpus.findings] == [
        ("unused file", "automatically_annotated.csv")
    ]


def test_another_layout_is_described_and_the_understood_ones_are_named(pack, raf_folders):
    with pytest.raises(DataError, match=r"data\.yaml.*labels\.csv.*found instead 16 files"):
        load_corpus("affectnet", pack(raf_folders))


def test_an_archive_without_usable_rows_says_what_was_wrong(pack, affectnet_yolo):
    affectnet_yolo["YOLO_format/data.yaml"] = "names: [Bored]\n"
    with pytest.raises(DataError, match=r"no labelled image .* \(24 times unknown class\)"):
        load_corpus("affectnet", pack(affectnet_yolo))


def test_published_names_follow_the_official_numbers(pack, official):
    corpus = load_corpus("affectnet", pack(official))
    for split, images in (("train", 2), ("valid", 1)):
        assert corpus.counts[split] == dict.fromkeys(sorted(OFFICIAL), images)
    assert len(corpus.differences) == 2


def _npy(value) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


@pytest.fixture
def release(picture):
    """The owners' release: two training pictures and one validation picture of each expression."""
    files = {}
    for folder, copies in (("train_set", 2), ("val_set", 1)):
        for number in range(8 * copies):
            files[f"AffectNet/{folder}/images/{number}.jpg"] = picture(number, 224)
            stem = f"AffectNet/{folder}/annotations/{number}"
            files[f"{stem}_exp.npy"] = _npy(np.array(str(number % 8)))
            files[f"{stem}_lnd.npy"] = _npy(POINTS.ravel())
            files[f"{stem}_aro.npy"] = _npy(np.array("0.1"))
    return files


def test_the_owners_release_is_read_with_its_landmarks(pack, release):
    corpus = load_corpus("affectnet", pack(release))

    assert corpus.layout == "images with annotations as npy"
    assert corpus.totals == {"train": 12, "valid": 6}
    assert _labels(corpus.splits["train"]) == MEANING
    assert sorted(corpus.splits["other"]["original_label"]) == ["contempt"] * 3 + ["neutral"] * 3
    assert corpus.findings == ()
    assert corpus.differences[0].startswith("affectnet train differs from the published counts")
    for row in corpus.splits["valid"]:
        np.testing.assert_allclose(row["landmarks"], five_landmarks(POINTS), rtol=1e-6)
        assert row["image"]["bytes"] == release[f"{row['sample_id']}"]


@pytest.mark.parametrize("number", [3, 3.0, np.int64(3), np.array(["3"])])
def test_numbers_of_the_release_may_have_any_type(pack, release, number):
    release["AffectNet/train_set/annotations/0_exp.npy"] = _npy(np.array(number))
    corpus = load_corpus("affectnet", pack(release))
    assert corpus.counts["train"]["surprise"] == 3


def test_annotations_of_the_release_that_cannot_be_used_are_listed(pack, release, picture):
    stem = "AffectNet/train_set/annotations/"
    release[f"{stem}0_exp.npy"] = _npy(np.array("8"))
    release[f"{stem}1_exp.npy"] = b"no npy"
    release[f"{stem}2_exp.npy"] = _npy(np.array([{"a": 1}], dtype=object))
    release[f"{stem}3_lnd.npy"] = _npy(np.zeros(3))
    release[f"{stem}99_exp.npy"] = _npy(np.array("1"))
    release["AffectNet/train_set/images/98.jpg"] = picture(98)

    corpus = load_corpus("affectnet", pack(release))

    assert Counter(finding.kind for finding in corpus.findings) == {
        "unknown class": 3,
        "unreadable annotation": 1,
        "label without image": 1,
        "image without label": 1,
    }
    assert sum(corpus.totals.values()) == 12 + 6 - 2


def test_yolo_folders_are_understood_in_either_case(pack, affectnet_yolo):
    files = {
        name.replace("/train/", "/Train/").replace("/images/", "/Images/"): content
        for name, content in affectnet_yolo.items()
    }
    corpus = load_corpus("affectnet", pack(files))
    assert corpus.totals == {"train": 6, "valid": 6, "test": 6}
    assert corpus.findings == ()
