"""Small corpora, fabricated in each layout, as a folder and as a zip."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from train.corpora import numbering

Files = Mapping[str, bytes | str]
Pack = Callable[[Files], Path]


@pytest.fixture(autouse=True)
def believe_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a dozen pictures tell classes by number; a test of the check asks for ``checked``."""
    if "checked" not in request.fixturenames:
        monkeypatch.setattr(numbering, "check_numbers", lambda *_: None)


@pytest.fixture
def checked() -> None:
    """Check numbers as for users."""


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Make a JPEG of smooth noise; every number gives another one."""

    def make(number: int, side: int = 48) -> bytes:
        noise = np.random.default_rng(number).normal(128, 60, (8, 8)).clip(0, 255)
        image = cv2.resize(noise.astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
        return cv2.imencode(".jpg", image)[1].tobytes()

    return make


@pytest.fixture
def as_folder(tmp_path: Path) -> Pack:
    """Write files into a new folder and return it."""

    def write(files: Files) -> Path:
        root = tmp_path / "corpus"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write


@pytest.fixture
def as_zip(tmp_path: Path) -> Pack:
    """Write files into a new zip and return it."""

    def write(files: Files) -> Path:
        path = tmp_path / "corpus.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return write


@pytest.fixture(params=["folder", "zip"])
def pack(request: pytest.FixtureRequest, as_folder: Pack, as_zip: Pack) -> Pack:
    """Write files as a folder, and in a second run of the test as a zip."""
    return as_folder if request.param == "folder" else as_zip


@pytest.fixture
def fer_folders(picture: Callable[..., bytes]) -> dict[str, bytes]:
    """FER-2013 as Kaggle lays it out: per emotion two training, one public, one private image."""
    files = {}
    for number, emotion in enumerate(
        ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    ):
        files[f"train/{emotion}/Training_{number}0.jpg"] = picture(10 * number)
        files[f"train/{emotion}/Training_{number}1.jpg"] = picture(10 * number + 1)
        files[f"test/{emotion}/PublicTest_{number}2.jpg"] = picture(10 * number + 2)
        files[f"test/{emotion}/PrivateTest_{number}3.jpg"] = picture(10 * number + 3)
    return files


@pytest.fixture
def raf_folders(picture: Callable[..., bytes]) -> dict[str, bytes | str]:
    """RAF-DB as Kaggle lays it out: one image per class and split, and a csv per split."""
    files: dict[str, bytes | str] = {}
    for split, width in (("train", 5), ("test", 4)):
        rows = ["image,label"]
        for label in range(1, 8):
            name = f"{split}_{label:0{width}d}_aligned.jpg"
            files[f"DATASET/{split}/{label}/{name}"] = picture(label, 100)
            rows.append(f"{name},{label}")
        files[f"{split}_labels.csv"] = "\n".join(rows) + "\n"
    return files


YOLO_NAMES = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


@pytest.fixture
def affectnet_yolo(picture: Callable[..., bytes]) -> dict[str, bytes | str]:
    """AffectNet in the YOLO layout: one 96x96 image per class and split, its box a known one."""
    files: dict[str, bytes | str] = {
        "YOLO_format/data.yaml": f"nc: 8\nnames: [{', '.join(YOLO_NAMES)}]\n"
    }
    for split in ("train", "valid", "test"):
        for number, name in enumerate(YOLO_NAMES):
            stem = f"{name.lower()}_{number}"
            files[f"YOLO_format/{split}/images/{stem}.jpg"] = picture(number, 96)
            files[f"YOLO_format/{split}/labels/{stem}.txt"] = f"{number} 0.5 0.5 0.5 0.25\n"
    return files
