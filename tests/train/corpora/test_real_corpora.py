from __future__ import annotations

import csv
import zipfile
from collections import Counter

import pytest

from train.corpora import load_corpus
from train.corpora.schema import canonical_label

pytestmark = pytest.mark.corpora


def test_fer2013_has_the_published_counts(shared_data):
    corpus = load_corpus("fer2013", shared_data / "fer2013.zip")
    assert corpus.totals == {"train": 23_744 - 52, "public": 2_982}
    assert corpus.differences == ()
    left_out = [f for f in corpus.findings if f.detail == "left out"]
    assert {f.kind for f in left_out} == {"no face"}
    assert len(left_out) == 65
    assert len(corpus.splits["other"]) == 4_965 + 607 - 13
    assert sum(votes is not None for votes in corpus.splits["train"]["votes"]) == 23_623


def test_raf_db_has_the_published_counts(shared_data):
    corpus = load_corpus("raf-db", shared_data / "raf-db.zip")
    assert corpus.totals == {"train": 9_747}
    assert corpus.differences == ()
    assert corpus.findings == ()
    assert len(corpus.splits["other"]) == 2_524


@pytest.fixture(scope="module")
def affectnet(shared_data):
    return load_corpus("affectnet", shared_data / "affectnet-yolo.zip")


def test_affectnet_has_every_image_of_its_archive(shared_data, affectnet):
    with zipfile.ZipFile(shared_data / "affectnet-yolo.zip") as archive:
        names = [name.split("/") for name in archive.namelist() if "/images/" in name]
    listed = Counter(parts[1] for parts in names if parts[-1])
    assert affectnet.totals == dict(listed)
    assert affectnet.findings == ()
    assert len(affectnet.splits["other"]) == 0


def test_affectnet_file_names_agree_with_the_class_ids(affectnet):
    rows = affectnet.splits["valid"]
    for name, label in zip(rows["sample_id"], rows["original_label"], strict=True):
        assert name.rpartition("/")[2].startswith(label.lower())


def test_affectnet_second_labels_are_those_of_the_table(shared_data, affectnet):
    with zipfile.ZipFile(shared_data / "affectnet-yolo.zip") as archive:
        lines = archive.read("second_labels.csv").decode().splitlines()
    listed = {
        (row["split"], row["image"]): canonical_label("affectnet", row["label"])
        for row in csv.DictReader(lines)
    }
    joined = {
        (split, name.rpartition("/")[2]): second
        for split, rows in affectnet.splits.items()
        for name, second in zip(rows["sample_id"], rows["second_label"], strict=True)
        if second is not None
    }
    assert joined == listed
