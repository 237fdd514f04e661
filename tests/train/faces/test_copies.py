from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.cli import main
from train.corpora.drawing import draw_face


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FER-2013 tree in which three public pictures stand in the training split too."""
    root = tmp_path_factory.mktemp("fer")
    names = ("happy", "surprise", "sad", "angry", "disgust", "fear", "neutral")
    for number, name in enumerate(names):
        label = {"happy": "happiness", "sad": "sadness", "angry": "anger"}.get(name, name)
        for split, prefix, seed in (("train", "Training", 1), ("test", "PublicTest", 2)):
            encoded, _ = draw_face(label, seed, number)
            folder = root / split / name
            folder.mkdir(parents=True)
            (folder / f"{prefix}_{number}.jpg").write_bytes(encoded)
    for number, name in enumerate(names[:3]):
        with Image.open(root / "test" / name / f"PublicTest_{number}.jpg") as picture:
            brighter = np.clip(np.asarray(picture).astype(int) + 12, 0, 255).astype(np.uint8)
        Image.fromarray(brighter).save(root / "train" / "fear" / f"Training_9{number}.png")
    return root


def test_pictures_with_a_copy_in_the_training_split_are_listed(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "copies.txt"

    assert (
        main(["copies", "--corpus", f"fer2013={corpus}", "--split", "public", "--out", str(out)])
        == 0
    )

    listed = out.read_text("utf-8").split()
    assert [Path(key).name for key in listed] == [
        "PublicTest_0.jpg",
        "PublicTest_2.jpg",
        "PublicTest_1.jpg",
    ]
    assert "3 of 6 pictures" in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "all"])
def test_the_training_split_itself_is_refused(
    split: str, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "copies.txt")
    assert main(["copies", "--corpus", f"fer2013={corpus}", "--split", split, "--out", out]) == 2
    assert "held-out split" in capsys.readouterr().err
