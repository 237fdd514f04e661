from __future__ import annotations

import json
from pathlib import Path

import pytest

from emotion.config import NetworkConfig
from emotion.labels import CORPUS_LABELS, LABELS
from emotion.network import EmotionNet
from train.cli import main
from train.config.fit import override
from train.config.recipes import RECIPES
from train.corpora import load_corpus, numbering

FER_CLASS = {name: word for word, name in CORPUS_LABELS["fer2013"].items()}
RAF_CLASS = {name: number for number, name in CORPUS_LABELS["raf-db"].items()}


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """FER-2013 and RAF-DB in the layouts of their mirrors, of drawn faces; no AffectNet."""
    root = tmp_path / "data"
    raf = root / "raf-db" / "DATASET"
    rows = load_corpus("synthetic", "420").splits["train"]
    counts = dict.fromkeys(range(6), 0)
    names: dict[str, list[str]] = {"train": ["image,label"], "test": ["image,label"]}
    for row in rows:
        number = counts[row["label"]]
        counts[row["label"]] += 1
        name = LABELS[row["label"]]
        if number < 20:
            split, prefix = ("test", "PublicTest") if number < 5 else ("train", "Training")
            path = root / "fer2013" / split / FER_CLASS[name] / f"{prefix}_{number}.png"
        else:
            split, code = "test" if number < 22 else "train", RAF_CLASS[name]
            path = raf / split / code / f"{split}_{number}_{code}_aligned.png"
            names[split].append(f"{path.name},{code}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"]["bytes"])
    for split, lines in names.items():
        (root / "raf-db" / f"{split}_labels.csv").write_text("\n".join(lines) + "\n")
    return root


def test_pictures_of_ones_own_are_prepared_trained_on_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = dict(
        zip(LABELS, ("joy", "surprised", "sad", "angry", "disgusted", "Angst"), strict=True)
    )
    splits = load_corpus("synthetic", "140").splits
    for place, row in enumerate([*splits["train"], *splits["other"]]):
        path = tmp_path / "faces" / words.get(row["expression"], "neutral") / f"{place}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"]["bytes"])
    EmotionNet(NetworkConfig(widths=(8, 8, 8, 8), trained_on=("raf-db/train",))).save_pretrained(
        tmp_path / "start"
    )
    small = override(RECIPES["finetune"], epochs=(1,), threads=1)
    monkeypatch.setitem(RECIPES, "finetune", small)
    monkeypatch.chdir(tmp_path)
    arguments = ["--corpus", "mine=folder:faces,angst=fear", "--init", "start"]

    assert main(arguments) == 0

    out = tmp_path / "runs" / "mine"
    printed = capsys.readouterr().out
    assert "no validation split: 1\n" in printed
    assert "Use it with: python app.py --weights runs/mine" in printed
    saved = json.loads((out / "fit.json").read_text("utf-8"))
    assert saved["data"]["corpora"] == ["mine"]
    assert saved["data"]["batch_size"] == 10  # eight steps an epoch of 84 faces
    assert saved["data"]["outlier_exposure"]
    result = json.loads((out / "mine-valid.json").read_text("utf-8"))
    assert result["n"] == 12
    config = json.loads((out / "config.json").read_text("utf-8"))
    assert config["trained_on"] == ["raf-db/train", "mine/train"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--demo", "--corpus", "mine=folder:x"], "--demo draws its faces"),
        (["--corpus", "mine=folder:x"], "x does not exist"),
        (["--corpus", "mine=x"], "NAME=folder:PATH"),
        (["--init", "nowhere", "--corpus", "mine=folder:x"], "does not exist"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_the_union_of_what_is_there_is_trained_and_measured(
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(numbering, "check_numbers", lambda *_: None)  # a dozen pictures a number
    small = override(
        RECIPES["union"], sizes=(32,), epochs=(1,), widths=(8, 8, 8, 8), batch_size=16, threads=1
    )
    assert small.data.outlier_exposure
    monkeypatch.setitem(RECIPES, "union", small)
    out = tmp_path / "run"

    assert main(["--data-root", str(data_root), "--out", str(out)]) == 0

    assert "outlier exposure is left out" in capsys.readouterr().out  # no neutral face is there
    saved = json.loads((out / "fit.json").read_text("utf-8"))
    assert saved["data"]["corpora"] == ["fer2013", "raf-db"]
    public, held_out = (
        json.loads((out / f"{name}.json").read_text("utf-8"))
        for name in ("fer2013-public", "raf-db-validation")
    )
    assert public["n"] == 30
    assert 0 < held_out["n"] < 30
    assert public["weights"] == held_out["weights"] == str(out)
