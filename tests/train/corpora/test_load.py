from __future__ import annotations

from collections import Counter

import pytest
from datasets import concatenate_datasets

from emotion.errors import ConfigError, DataError
from emotion.labels import CORPUS_LABELS, LABELS, OTHER_LABELS
from train.corpora import (
    FEATURES,
    SOURCES,
    image_bytes,
    load_corpus,
    parse_corpus,
    schema,
)


def test_all_corpora_concatenate_without_a_cast(
    as_zip, as_folder, fer_folders, raf_folders, affectnet_yolo
):
    corpora = [
        load_corpus("fer2013", as_zip(fer_folders)),
        load_corpus("raf-db", as_folder(raf_folders)),
        load_corpus("affectnet", as_folder(affectnet_yolo) / "YOLO_format"),
        load_corpus("synthetic", "70"),
    ]
    parts = [rows for corpus in corpora for rows in corpus.splits.values()]
    assert all(part.features == FEATURES for part in parts)
    whole = concatenate_datasets(parts)
    assert whole.features == FEATURES
    assert len(whole) == sum(map(len, parts))
    assert tuple(dict.fromkeys(whole["source"])) == SOURCES


def test_sample_ids_are_unique_within_a_corpus(pack, fer_folders):
    splits = load_corpus("fer2013", pack(fer_folders)).splits
    ids = [name for rows in splits.values() for name in rows["sample_id"]]
    assert len(set(ids)) == len(ids) == 28


def test_loading_twice_gives_the_same_fingerprint(pack, fer_folders):
    path = pack(fer_folders)
    first, second = (load_corpus("fer2013", path).splits["train"] for _ in range(2))
    assert first._fingerprint == second._fingerprint


def test_other_pixels_give_another_fingerprint(as_folder, fer_folders, picture):
    first = load_corpus("fer2013", as_folder(fer_folders)).splits["train"]
    fer_folders["train/happy/Training_30.jpg"] = picture(1234)
    second = load_corpus("fer2013", as_folder(fer_folders)).splits["train"]
    assert first._fingerprint != second._fingerprint


def test_loading_writes_nothing_into_the_cache(pack, fer_folders, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    rows = load_corpus("fer2013", pack(fer_folders)).splits["train"]
    assert rows.cache_files == []
    assert not cache.exists()


@pytest.mark.parametrize("splits", [None, ["all"], ["public", "all"]])
def test_everything_is_loaded_by_default_and_on_demand(pack, fer_folders, splits):
    corpus = load_corpus("fer2013", pack(fer_folders), splits=splits)
    assert [*corpus.splits] == ["train", "public", "private", "other"]


def test_only_the_wanted_splits_are_loaded(pack, fer_folders):
    corpus = load_corpus("fer2013", pack(fer_folders), splits=["public"])
    assert [*corpus.splits] == ["public", "other"]
    assert set(corpus.splits["other"]["split"]) == {"public"}
    assert [*corpus.counts] == ["public"]


def test_a_split_that_is_not_there_is_refused_with_those_that_are(pack, fer_folders):
    files = {name: content for name, content in fer_folders.items() if "Private" not in name}
    with pytest.raises(DataError, match="no split 'private' here; it has train, public"):
        load_corpus("fer2013", pack(files), splits=["private"])


def test_counts_use_the_words_of_the_corpus_and_the_canonical_ones(pack, raf_folders):
    corpus = load_corpus("raf-db", pack(raf_folders))
    assert corpus.counts["train"] == dict.fromkeys("1234567", 1)
    assert corpus.class_counts["train"] == dict.fromkeys((*LABELS, "neutral"), 1)
    assert corpus.totals == {"train": 6, "test": 6}


def test_differences_from_the_published_counts_are_sentences(pack, raf_folders):
    train, test = load_corpus("raf-db", pack(raf_folders)).differences
    assert "happiness 1 (published 4,772)" in train
    assert "fear 1 (published 74)" in test


def test_layouts_without_published_counts_are_not_compared(pack, affectnet_yolo):
    assert load_corpus("affectnet", pack(affectnet_yolo)).differences == ()


@pytest.mark.parametrize("corpus", SOURCES)
def test_every_source_names_each_of_the_six_exactly_once_in_each_of_its_spellings(corpus):
    names = {n: c for n, c in CORPUS_LABELS[corpus].items() if not n.isdecimal()}
    numbers = {n: c for n, c in CORPUS_LABELS[corpus].items() if n.isdecimal()}
    for spelling in filter(None, (names, numbers)):
        assert sorted(c for c in spelling.values() if c not in OTHER_LABELS) == sorted(LABELS)


def test_a_large_corpus_keeps_paths_instead_of_bytes(pack, fer_folders, monkeypatch):
    monkeypatch.setattr(schema, "EMBED_LIMIT", 1000)
    for row in load_corpus("fer2013", pack(fer_folders)).splits["train"]:
        assert row["image"]["bytes"] is None
        assert image_bytes(row["image"]) == fer_folders[row["sample_id"]]


def test_an_image_cell_with_bytes_gives_them(pack, fer_folders):
    row = load_corpus("fer2013", pack(fer_folders)).splits["train"][0]
    assert image_bytes(row["image"]) == fer_folders[row["sample_id"]]


def test_a_damaged_member_becomes_an_empty_row_and_is_listed(as_zip, raf_folders, picture):
    path = as_zip(raf_folders)
    content = bytearray(path.read_bytes())
    place = content.index(b"train_00004_aligned.jpg") + 200
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    corpus = load_corpus("raf-db", path)
    assert Counter(finding.kind for finding in corpus.findings) == {"unreadable image": 1}
    row = next(row for row in corpus.splits["train"] if row["original_label"] == "4")
    assert row["image"]["bytes"] == b""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fer2013=data/fer2013.zip", ("fer2013", "data/fer2013.zip")),
        ("raf-db=a=b", ("raf-db", "a=b")),
        ("affectnet=hf://datasets/me/faces", ("affectnet", "hf://datasets/me/faces")),
        ("synthetic", ("synthetic", None)),
        ("synthetic=700", ("synthetic", "700")),
    ],
)
def test_name_and_path_are_split_at_the_first_equals_sign(text, expected):
    assert parse_corpus(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ck+=data", "names no known corpus; write NAME=PATH"),
        ("data/fer2013.zip", "names no known corpus"),
        ("fer2013", "lacks a path; write fer2013=PATH"),
        ("fer2013=", "lacks a path"),
        ("", "names no known corpus"),
    ],
)
def test_a_corpus_that_cannot_be_parsed_is_refused_in_one_sentence(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_corpus(text)
    assert "\n" not in str(caught.value)


def test_an_unknown_corpus_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="known are fer2013, raf-db, affectnet, synthetic"):
        load_corpus("ck+", tmp_path)


def test_a_missing_path_is_refused():
    with pytest.raises(ConfigError, match="needs a path"):
        load_corpus("fer2013", None)
