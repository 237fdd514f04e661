from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import pytest

from emotion.errors import ConfigError, DataError
from emotion.labels import LABELS
from train.corpora import OTHER, load_corpus, parse_corpus
from train.corpora.place import parse_place

SIX = ("Smiling", "SURPRISED", "sad", "Angry", "disgusted", "fearful")


@pytest.fixture
def mine(picture):
    """Ten pictures of each expression in folders as people name them."""
    return {
        f"{word}/{number}.jpg": picture(100 * place + number)
        for place, word in enumerate((*SIX, "Neutral"))
        for number in range(10)
    }


def load(path: Path, more: str = ""):
    return load_corpus("mine", f"folder:{path}{more}")


def labels(rows) -> dict[str, str]:
    return {
        original: LABELS[label]
        for original, label in zip(rows["original_label"], rows["label"], strict=True)
    }


def findings(corpus, kind: str) -> list[tuple[str, str]]:
    return [(f.where, f.detail) for f in corpus.findings if f.kind == kind]


def test_folders_are_understood_whatever_form_and_case_their_names_have(pack, mine):
    corpus = load(pack(mine))

    assert labels(corpus.splits["train"]) == dict(zip(SIX, LABELS, strict=True))
    assert set(corpus.splits[OTHER]["expression"]) == {"neutral"}
    assert set(corpus.splits[OTHER]["calm"]) == {1.0}
    assert set(corpus.splits["train"]["source"]) == {"mine"}


def test_without_split_folders_a_tenth_of_every_class_is_held_out(pack, mine):
    corpus = load(pack(mine))

    assert corpus.totals == {"train": 54, "valid": 6}
    assert len(labels(corpus.splits["valid"])) == 6
    assert sorted(corpus.splits[OTHER]["split"]) == ["train"] * 9 + ["valid"]
    ((where, detail),) = findings(corpus, "no validation split")
    assert where == "train"
    assert detail.startswith("7 training pictures validate")


def test_what_is_held_out_depends_on_the_names_alone(as_folder, as_zip, mine):
    first, second = load(as_folder(mine)), load(as_zip(dict(reversed(mine.items()))))

    assert set(first.splits["valid"]["sample_id"]) == set(second.splits["valid"]["sample_id"])


@pytest.mark.parametrize("word", ["valid", "Val", "validation"])
def test_split_folders_are_used_and_what_lies_beside_them_is_said(pack, mine, picture, word):
    files = {f"faces/Train/{name}": data for name, data in mine.items()}
    files |= {f"faces/{word}/{name}": picture(900 + i) for i, name in enumerate(mine) if i % 5 == 0}
    files |= {f"faces/test/{name}": picture(950 + i) for i, name in enumerate(mine) if i % 5 == 1}
    files |= {"faces/extra/sad/1.jpg": picture(999), "faces/train/readme.md": b"about"}

    corpus = load(pack(files))

    assert corpus.totals == {"train": 60, "valid": 12, "test": 12}
    ((where, detail),) = findings(corpus, "unknown split")
    assert where == "faces/extra/sad"
    assert detail.startswith("1 pictures are in neither")
    assert findings(corpus, "not an image") == [(".md", "1 files; left out")]
    assert findings(corpus, "no validation split") == []


def test_a_test_folder_alone_leaves_a_tenth_of_training_to_validate(pack, mine, picture):
    files = {f"train/{name}": data for name, data in mine.items()}
    files |= {f"test/{name}": picture(900 + i) for i, name in enumerate(mine)}

    assert load(pack(files)).totals == {"train": 54, "valid": 6, "test": 60}


def test_split_folders_may_lie_below_the_class_folders(pack, mine, picture):
    files = {}
    for place, (name, data) in enumerate(mine.items()):
        word, file = name.split("/")
        files[f"{word}/{'val' if place % 5 == 0 else 'train'}/{file}"] = data

    assert load(pack(files)).totals == {"train": 48, "valid": 12}


def test_unknown_classes_are_left_out_and_the_closest_known_name_is_suggested(pack, mine, picture):
    for word in ("Freude", "suprise", "tristesse", "bored", "3"):
        mine[f"{word}/1.jpg"] = picture(900)

    corpus = load(pack(mine))

    assert corpus.totals == {"train": 54, "valid": 6}
    told = dict(findings(corpus, "unknown class"))
    assert "if it means happiness, add ,Freude=happiness behind the path" in told["Freude"]
    assert "if it means surprise, add ,suprise=surprise" in told["suprise"]
    assert "if it means sadness, add ,tristesse=sadness" in told["tristesse"]
    assert "if it is an expression, add ,bored=EXPRESSION" in told["bored"]
    assert "a number is understood only with a map: add ,3=EXPRESSION" in told["3"]
    assert all(detail.startswith("1 pictures; ") for detail in told.values())


def test_a_map_explains_other_languages_and_numbers(pack, picture):
    words = ("Freude", "Überraschung", "0", "Wut", "Ekel", "1", "ruhig")
    files = {f"{w}/{n}.jpg": picture(10 * p + n) for p, w in enumerate(words) for n in range(3)}
    told = ",freude=joy,überraschung=surprise,0=sad,wut=anger,ekel=disgust,1=fear,ruhig=neutral"

    corpus = load(pack(files), told)

    assert set(labels(corpus.splits["train"]).values()) == set(LABELS)
    assert set(corpus.splits[OTHER]["original_label"]) == {"ruhig"}
    assert findings(corpus, "unknown class") == []


def test_another_language_alone_is_refused_with_the_map_that_helps(pack, picture):
    files = {f"{word}/1.jpg": picture(i) for i, word in enumerate(("joie", "colère", "peur"))}

    with pytest.raises(DataError, match="none of the six expressions") as caught:
        load(pack(files))

    assert ",colère=anger" in str(caught.value)
    assert ",joie=happiness" in str(caught.value)
    assert ",peur=fear" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_without_classes_are_refused(pack, picture):
    with pytest.raises(
        DataError, match=r"none of the six expressions.*not understood: holidays, work"
    ):
        load(pack({"holidays/2024/1.jpg": picture(1), "work/2025/2.jpg": picture(2)}))


def test_pictures_in_no_folder_are_refused(pack, picture):
    with pytest.raises(DataError, match="none of the six expressions"):
        load(pack({"1.jpg": picture(1)}))


def test_a_place_without_pictures_is_described(pack):
    with pytest.raises(DataError, match=r"holds no picture: 1 files \(1 \.txt\)"):
        load(pack({"a.txt": "x"}))


def test_one_class_is_refused(pack, picture):
    with pytest.raises(DataError, match="shows only happiness, and at least two are needed"):
        load(pack({f"happy/{n}.jpg": picture(n) for n in range(4)}))


def test_a_folder_above_all_pictures_names_no_class(pack, mine, picture):
    files = {f"smile/{name}": data for name, data in mine.items()}
    files |= {"smile/bored/1.jpg": picture(900), "smile/2.jpg": picture(901)}

    corpus = load(pack(files))

    assert sum(corpus.totals.values()) == 60
    assert [where for where, _ in findings(corpus, "unknown class")] == ["bored"]
    assert findings(corpus, "image without label") == [
        ("smile/2.jpg", "1 pictures lie in no class folder; left out")
    ]


def test_names_with_accents_kept_apart_are_the_same_names(pack, picture):
    words = ("colère", "tristesse", "dégoût")
    files = {
        f"{unicodedata.normalize('NFD', word)}/{n}.jpg": picture(10 * place + n)
        for place, word in enumerate(words)
        for n in range(3)
    }

    with pytest.raises(DataError, match=r",.*=anger"):
        load(pack(files))

    corpus = load(pack(files), ",colère=anger,tristesse=sad,Dégoût=disgust")
    assert sorted(corpus.class_counts["train"]) == ["anger", "disgust", "sadness"]


def test_formats_of_phones_are_pictures(pack, mine, picture):
    corpus = load(pack({**mine, "sad/a.HEIC": picture(900), "sad/b.avif": picture(901)}))

    assert sum(corpus.totals.values()) == 62
    assert findings(corpus, "not an image") == []


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("image,emotion", r"labels\.csv has no column path and no label"),
        ("path,class", r"labels\.csv has no column label"),
        ("path;label", r"labels\.csv cannot be used: .*semicolons"),
    ],
)
def test_a_table_that_was_not_taken_for_one_is_told_why(pack, picture, header, cause):
    with pytest.raises(DataError, match=f"none of the six expressions.*{cause}"):
        load(pack({"faces/1.jpg": picture(1), "labels.csv": f"{header}\nfaces/1.jpg,happy\n"}))


@pytest.mark.slow
def test_a_hundred_thousand_pictures_are_loaded(tmp_path, picture):
    small, path = picture(1, 8), tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"{SIX[number % 6]}/{number}.jpg", small)
            if number < 1000:
                archive.writestr(f"class {number}/{number}.jpg", small)

    corpus = load(path)

    assert sum(corpus.totals.values()) == 100_000
    assert len(findings(corpus, "unknown class")) == 1000


def table(mine, header: str = "path,label", **columns) -> str:
    lines = [header]
    for number, name in enumerate(mine):
        word, file = name.split("/")
        row = {"path": f"pictures/{file}", "label": word, **columns}
        cells = [row[c](number) if callable(row[c]) else row[c] for c in header.split(",")]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


@pytest.fixture
def listed(picture):
    """Seventy pictures in one folder, and the words of their labels."""
    names = [f"{(*SIX, 'neutral')[number % 7]}/{number}.jpg" for number in range(70)]
    return names, {f"pictures/{number}.jpg": picture(number) for number in range(70)}


def test_a_csv_lists_pictures_and_their_labels(pack, listed):
    names, files = listed

    corpus = load(pack({**files, "labels.csv": table(names)}))

    assert corpus.layout == "csv labels.csv"
    assert corpus.totals == {"train": 54, "valid": 6}
    assert labels(corpus.splits["train"]) == dict(zip(SIX, LABELS, strict=True))
    assert findings(corpus, "not an image") == []


def test_a_csv_can_be_named_and_may_tell_the_split(as_folder, listed):
    names, files = listed
    words = ("train", "VAL", "test", "later", "train")
    csv = table(names, "path,label,split", split=lambda number: words[number % 5])
    place = as_folder({**files, "meta/labels.csv": csv.replace("pictures/", "../pictures/")})
    path = place / "labels.csv"
    path.write_text(csv)

    for kind in ("csv", "folder"):
        corpus = load_corpus("mine", f"{kind}:{path}")
        assert corpus.totals == {"train": 24, "valid": 12, "test": 12}
        ((where, detail),) = findings(corpus, "unknown split")
        assert where == "later"
        assert detail.startswith("14 pictures")


def test_rows_that_cannot_be_used_are_listed_with_their_line(pack, listed):
    names, files = listed
    csv = table(names) + "pictures/none.jpg,sad\npictures/0.jpg,sad\npictures/1.jpg,\n"

    corpus = load(pack({**files, "labels.csv": csv, "pictures/extra.jpg": files["pictures/1.jpg"]}))

    assert [where for where, _ in findings(corpus, "label without image")] == [
        "labels.csv, line 72"
    ]
    assert [where for where, _ in findings(corpus, "listed twice")] == [
        "labels.csv, line 73",
        "labels.csv, line 74",
    ]
    ((where, detail),) = findings(corpus, "image without label")
    assert (where, detail) == ("labels.csv", "1 pictures are not in the table; left out")


def test_two_tables_must_be_told_apart(pack, listed):
    names, files = listed
    with pytest.raises(DataError, match=r"several tables .*\(a\.csv, b\.csv\)"):
        load(pack({**files, "a.csv": table(names), "b.csv": table(names)}))


def test_a_table_that_cannot_be_read_is_told_why(as_folder, listed):
    names, files = listed
    path = as_folder({**files, "labels.csv": table(names).replace(",", ";")}) / "labels.csv"
    with pytest.raises(DataError, match="separated by semicolons"):
        load_corpus("mine", f"csv:{path}")
    with pytest.raises(DataError, match="does not exist"):
        load_corpus("mine", f"csv:{path}x.csv")
    with pytest.raises(DataError, match="is no csv"):
        load_corpus("mine", f"csv:{path.parent}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fer2013=folder:x", "has? layouts of its own|is a corpus with layouts of its own"),
        ("my faces=folder:x", "cannot name a corpus"),
        ("a.b=folder:x", "cannot name a corpus"),
        ("../x=folder:x", "cannot name a corpus"),
        ("all=folder:x", "cannot name a corpus"),
        ("mine=x", "names no known corpus.*NAME=folder:PATH"),
        ("mine=folder:", "names no known corpus"),
    ],
)
def test_names_that_cannot_be_used_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_corpus(text)


def test_a_place_is_a_kind_a_path_and_a_map(tmp_path):
    assert parse_corpus("mine=folder:a=b") == ("mine", "folder:a=b")
    place = parse_place("folder:~/faces,0=Smiling,Wut=angry")
    assert (place.kind, place.path) == ("folder", "~/faces")
    assert place.names == {"0": "happiness", "wut": "anger"}
    assert parse_place("faces.zip,v=1/x").path == "faces.zip,v=1/x"
    odd = tmp_path / "set,a=b"
    odd.mkdir()
    assert parse_place(odd).path == str(odd)
    with pytest.raises(ConfigError, match=r"'0=hapy' does not name an expression"):
        parse_place("faces.zip,0=hapy")
