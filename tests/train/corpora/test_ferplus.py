from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora import fer2013, load_corpus
from train.corpora.ferplus import kaggle_rows

USAGES = ("Training", "PublicTest", "PrivateTest")
VOTES = ("neutral", *LABELS, "contempt", "unknown", "NF")
HAPPY = {"happiness": 7, "surprise": 1, "neutral": 2}
BALLOT = [2, 7, 1, 0, 0, 0, 0, 0, 0, 0]


def cells(votes: dict[str, object]) -> str:
    return ",".join(str(votes.get(name, 0)) for name in VOTES)


def csv_corpus() -> str:
    """Two rows of each emotion in each split, as fer2013.csv has them."""
    lines = ["emotion,pixels,Usage"]
    for number in range(42):
        pixels = np.random.default_rng(number).integers(0, 256, 48 * 48)
        lines.append(f"{number % 7},{' '.join(map(str, pixels))},{USAGES[number // 14]}")
    return "\n".join(lines) + "\n"


def authors_table(rows: dict[int, dict[str, object]], count: int = 42) -> str:
    """fer2013new.csv for the table above: ten votes for neutral, except in ``rows``."""
    lines = ["Usage,Image name," + ",".join(VOTES)]
    for number in range(count):
        name = f"fer{number:07d}.png"
        votes = cells(rows.get(number, {"neutral": 10}))
        lines.append(f"{USAGES[number // 14]},{name},{votes}")
    return "\n".join(lines) + "\n"


def named_table(rows: dict[str, dict[str, object]]) -> str:
    """ferplus-votes.csv for Kaggle's names."""
    return "\n".join(
        ["image," + ",".join(VOTES), *(f"{n},{cells(v)}" for n, v in rows.items()), ""]
    )


def full_authors_table(changed: dict[int, dict[str, object]]) -> str:
    usages = ["Training"] * 28709 + ["PublicTest"] * 3589 + ["PrivateTest"] * 3589
    plain = cells({"neutral": 10})
    lines = ["Usage,Image name," + ",".join(VOTES)]
    lines += [
        f"{usage},fer{number:07d}.png,{cells(changed[number]) if number in changed else plain}"
        for number, usage in enumerate(usages)
    ]
    return "\n".join(lines) + "\n"


def stems(files: dict[str, bytes]) -> list[str]:
    return [Path(name).stem for name in files]


@pytest.fixture
def known(picture) -> dict[str, bytes]:
    """Kaggle's folders with names that Kaggle has: per emotion two training, one public image."""
    names = {word: [n for n in kaggle_rows() if n.startswith(word)] for word in USAGES[:2]}
    files = {}
    for number, emotion in enumerate(
        ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    ):
        for name in names["Training"][2 * number : 2 * number + 2]:
            files[f"train/{emotion}/{name}.jpg"] = picture(len(files))
        files[f"test/{emotion}/{names['PublicTest'][number]}.jpg"] = picture(len(files))
    return files


def by_stem(corpus, split: str = "train", column: str = "votes") -> dict[str, object]:
    rows = corpus.splits[split]
    return {Path(n).stem: v for n, v in zip(rows["sample_id"], rows[column], strict=True)}


def test_the_authors_votes_follow_the_rows_of_the_csv(pack):
    votes = authors_table({3: HAPPY})
    corpus = load_corpus("fer2013", pack({"fer2013.csv": csv_corpus(), "fer2013new.csv": votes}))

    assert by_stem(corpus)["fer0000003"] == BALLOT
    assert by_stem(corpus)["fer0000004"] == [10, *[0] * 9]
    assert corpus.layout.startswith("fer2013.csv, votes from ")
    assert corpus.layout.endswith("fer2013new.csv")


def test_the_authors_votes_reach_kaggles_folders(pack, known):
    stem = next(stem for stem in stems(known) if stem.startswith("Training"))
    table = full_authors_table({kaggle_rows()[stem]: HAPPY})

    corpus = load_corpus("fer2013", pack({**known, "fer2013new.csv": table}))

    votes = by_stem(corpus)
    assert votes[stem] == BALLOT
    assert all(v == [10, *[0] * 9] for name, v in votes.items() if name != stem)
    assert None not in by_stem(corpus, "public").values()
    assert corpus.findings == ()


def test_a_table_by_name_beside_the_archive_reaches_both_layouts(as_zip, known, tmp_path):
    table = named_table(dict.fromkeys(stems(known), HAPPY))
    archive = as_zip(known)
    (tmp_path / "votes-of-mine.csv").write_text(table)

    corpus = load_corpus("fer2013", archive)

    assert set(map(tuple, by_stem(corpus).values())) == {tuple(BALLOT)}
    assert str(tmp_path / "votes-of-mine.csv") in corpus.layout


def test_a_table_by_name_reaches_the_csv_by_the_row_it_names(pack):
    header = "image,fer_row," + ",".join(VOTES)
    lines = [f"Training_{n},{n},{cells(HAPPY if n == 3 else {'fear': 10})}" for n in range(42)]
    table = "\n".join([header, *lines])

    corpus = load_corpus("fer2013", pack({"fer2013.csv": csv_corpus(), "ferplus-votes.csv": table}))

    assert by_stem(corpus)["fer0000003"] == BALLOT
    assert by_stem(corpus)["fer0000002"][6] == 10


def test_without_a_table_there_are_no_votes_and_the_label_says_who_is_calm(pack, known):
    corpus = load_corpus("fer2013", pack(known))

    assert corpus.layout == "Kaggle folders"
    assert set(by_stem(corpus).values()) == {None}
    assert set(by_stem(corpus, column="calm").values()) == {0.0}
    assert set(by_stem(corpus, "other", "calm").values()) == {1.0}


def test_votes_say_how_calm_a_face_is_whatever_its_label(pack, known):
    table = named_table(dict.fromkeys(stems(known), HAPPY))

    corpus = load_corpus("fer2013", pack({**known, "ferplus-votes.csv": table}))

    for split in ("train", "other"):
        calm = list(by_stem(corpus, split, "calm").values())
        assert calm == pytest.approx([0.2] * len(calm), abs=1e-6)


def test_what_half_of_the_taggers_call_no_face_is_left_out_of_training(pack, known):
    votes = dict.fromkeys(stems(known), HAPPY)
    training = next(stem for stem in votes if stem.startswith("Training"))
    public = next(stem for stem in votes if stem.startswith("Public"))
    votes[training] = votes[public] = {"NF": 5, "fear": 5}

    corpus = load_corpus("fer2013", pack({**known, "ferplus-votes.csv": named_table(votes)}))

    assert training not in by_stem(corpus)
    assert public in by_stem(corpus, "public")
    assert Counter(finding.kind for finding in corpus.findings) == {"no face": 2}


def test_a_training_picture_without_votes_keeps_its_label_and_is_listed(pack, known):
    first, *rest = stems(known)
    table = named_table(dict.fromkeys(rest, HAPPY))

    corpus = load_corpus("fer2013", pack({**known, "ferplus-votes.csv": table}))

    assert [(f.kind, Path(f.where).stem) for f in corpus.findings] == [("no votes", first)]
    assert by_stem(corpus)[first] is None


def test_two_pictures_of_one_name_get_no_votes(pack, known, picture):
    stem = stems(known)[0]
    known[f"train/surprise/{stem}.jpg"] = picture(99)
    table = named_table(dict.fromkeys(stems(known), HAPPY))

    corpus = load_corpus("fer2013", pack({**known, "ferplus-votes.csv": table}))

    assert [Path(f.where).stem for f in corpus.findings if f.kind == "no votes"] == [stem, stem]


def test_a_second_table_is_listed_as_unused(pack, known):
    table = named_table(dict.fromkeys(stems(known), HAPPY))
    files = {**known, "ferplus-votes.csv": table, "z/mine.csv": table}

    corpus = load_corpus("fer2013", pack(files))

    ((kind, where),) = [(f.kind, f.where) for f in corpus.findings]
    assert kind == "unused file"
    assert where.endswith("mine.csv")


def test_a_table_of_other_pictures_is_refused(pack, known):
    table = named_table({f"Training_{number}": HAPPY for number in range(50)})

    with pytest.raises(DataError, match=r"votes for 0 of the 21 pictures, too few to be theirs"):
        load_corpus("fer2013", pack({**known, "ferplus-votes.csv": table}))


@pytest.mark.parametrize("bad", ["many", "-3", "2.5", "nan", "99999"])
@pytest.mark.parametrize("layout", ["csv", "folders"])
def test_votes_that_are_no_numbers_are_refused_with_their_line(pack, known, layout, bad):
    if layout == "csv":
        table = authors_table({3: {"fear": bad}})
        files = {"fer2013.csv": csv_corpus(), "fer2013new.csv": table}
    else:
        votes = dict.fromkeys(stems(known), HAPPY)
        votes[stems(known)[3]] = {"fear": bad}
        files = {**known, "ferplus-votes.csv": named_table(votes)}

    with pytest.raises(DataError, match=rf"csv, line 5 has the votes '{bad}'"):
        load_corpus("fer2013", pack(files))


def test_too_few_rows_for_the_csv_are_refused(pack):
    votes = "\n".join(authors_table({}).splitlines()[:-1])
    with pytest.raises(DataError, match=r"41 rows and fer2013\.csv has 42"):
        load_corpus("fer2013", pack({"fer2013.csv": csv_corpus(), "fer2013new.csv": votes}))


def test_too_few_rows_for_kaggles_folders_are_refused(pack, known):
    with pytest.raises(DataError, match=r"has 42 rows, and the pictures are rows up to 32,298"):
        load_corpus("fer2013", pack({**known, "fer2013new.csv": authors_table({})}))


def test_another_order_than_the_csv_is_refused(pack):
    header, *lines = authors_table({}).splitlines()
    swapped = "\n".join([header, *reversed(lines)])
    with pytest.raises(DataError, match="disagree about the split"):
        load_corpus("fer2013", pack({"fer2013.csv": csv_corpus(), "fer2013new.csv": swapped}))


def test_another_order_than_kaggles_rows_is_refused(pack, known):
    header, *lines = full_authors_table({}).splitlines()
    swapped = "\n".join([header, *reversed(lines)])
    with pytest.raises(DataError, match=r"not in the order of fer2013\.csv"):
        load_corpus("fer2013", pack({**known, "fer2013new.csv": swapped}))


def test_a_table_that_promises_votes_and_has_none_is_refused(pack, known):
    with pytest.raises(DataError, match=r"fer2013new\.csv has no column usage, neutral, happiness"):
        load_corpus("fer2013", pack({**known, "fer2013new.csv": "name,label\na,1\n"}))


def test_tables_beside_the_archive_that_are_no_votes_do_not_matter(as_zip, known, tmp_path):
    archive = as_zip(known)
    (tmp_path / "notes.csv").write_bytes(b"\xff\xfe\x00" * 50)
    (tmp_path / "labels.csv").write_text("image,label\na,1\n")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")

    assert load_corpus("fer2013", archive).findings == ()


def test_kaggles_names_have_rows_of_their_own_split() -> None:
    rows = kaggle_rows()

    assert len(rows) == len(set(rows.values())) + 2  # two photographs are two pictures each
    for name, row in rows.items():
        assert (row < 28709) == name.startswith("Training")
        assert row < 28709 + 3589
    assert Path(fer2013.__file__).with_name("ferplus-rows.npz").stat().st_size < 400_000


@pytest.mark.corpora
def test_kaggles_names_have_the_rows_that_were_matched_by_pixels(shared_data) -> None:
    with (shared_data / "ferplus-votes.csv").open(encoding="utf-8") as file:
        listed = {(row["image"], int(row["fer_row"])) for row in csv.DictReader(file)}

    assert set(kaggle_rows().items()) <= listed
    assert len(listed) - len(kaggle_rows()) == 3  # rows of two names that occur twice
