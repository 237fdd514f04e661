"""Names in tables: none is a formula to a spreadsheet, and a run that goes on knows them again."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from emotion.shell.cells import csv_lines, name_of
from emotion.shell.resume import CsvTable


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1.png", "'=1+1.png"),
        ("@home.png", "'@home.png"),
        ("+a.png", "'+a.png"),
        ("-a.png", "'-a.png"),
        ("'=1.png", "''=1.png"),
        ("a=b.png", "a=b.png"),
        ("'a.png", "'a.png"),
        ("-1.5", "-1.5"),
        ("-", "-"),  # standard input
    ],
)
def test_a_name_is_no_formula_and_comes_back(name: str, cell: str) -> None:
    (row,) = csv.reader(csv_lines([[name, 0.5]]).splitlines())
    assert row == [cell, "0.5"]
    assert name_of(cell) == name


def test_an_interrupted_table_knows_its_names_again(tmp_path: Path) -> None:
    table = CsvTable(tmp_path / "a.csv", ["filepath", "answer"])
    table.begin()
    for name in ("=1+1.png", "plain.png"):
        table.add(name, [["happiness"], ["fear"]])
    table.file.close()
    partial = tmp_path / "a.csv.partial"
    assert partial.read_text("utf-8").splitlines()[1] == "'=1+1.png,happiness"
    assert [name for name, _ in table.finished(partial)] == ["=1+1.png", "plain.png"]
