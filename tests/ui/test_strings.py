from __future__ import annotations

import re
from importlib import resources

import pytest

from emotion.cover import PARTS, SENTENCES
from emotion.labels import LABELS
from emotion.ui.strings import LANGUAGES, label, say, table, text

PLACES = re.compile(r"\{(\w+)\}")


def test_every_sentence_exists_in_every_language():
    keys = {language: set(table()[language]) for language in LANGUAGES}
    assert keys["en"] == keys["de"]
    assert all(sentence.strip() for rows in table().values() for sentence in rows.values())


@pytest.mark.parametrize("key", sorted(table()["en"]))
def test_both_languages_have_the_same_places_for_values(key):
    english, german = (set(PLACES.findall(table()[language][key])) for language in LANGUAGES)
    assert english == german


def test_classes_and_parts_have_names():
    names = table()["en"]
    assert {*LABELS, *PARTS, *(f"part_{part}" for part in PARTS)} <= set(names)
    assert [names[part] for part in PARTS] == [f"the {part}" for part in PARTS]


def test_the_page_says_what_python_says():
    assert {f"cover_{kind}": said for kind, said in SENTENCES.items()}.items() <= table()[
        "en"
    ].items()


def test_every_key_that_the_scripts_use_exists():
    folder = resources.files("emotion.ui")
    source = "".join(
        file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".js")
    )
    used = set(re.findall(r'say\("(\w+)"', source)) | set(
        re.findall(r'"((?:camera|send|video|photo)_\w+)"', source)
    )
    assert used - {"camera"} <= set(table()["en"])
    assert len(used) > 20


def test_values_are_filled_in():
    assert say("face_n", "de", n=3) == "Gesicht 3"


def test_markup_escapes_values():
    markup = text("about_licences_2", "p", trained_on='<img src=x onerror="x">')
    assert "<img" not in markup
    assert 'data-text="about_licences_2"' in markup


def test_a_label_names_its_element():
    assert label("opacity") == 'data-label="opacity" aria-label="Strength of the evidence"'
