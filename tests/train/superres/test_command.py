from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from emotion.errors import ConfigError, DataError, ImageError, WeightsError
from train.commands.superres import Arguments, run
from train.commands.superres_fit import Arguments as FitArguments
from train.commands.superres_fit import run as run_fit
from train.superres import resize_grey


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.png"
    Image.fromarray(skimage.data.astronaut()[50:170, 170:290]).save(path)
    return path


@pytest.fixture
def thumbnail(tmp_path: Path, small48: np.ndarray) -> Path:
    path = tmp_path / "thumbnail.png"
    Image.fromarray(small48[0]).save(path)
    return path


def test_a_large_picture_is_reduced_first_and_compared_with_the_truth(
    portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "comparison.png"

    code = run(Arguments(portrait, out=out))

    said = capsys.readouterr().out
    assert code == 0
    assert "120x120" in said
    values = [float(line.split()[-2]) for line in said.splitlines() if line.startswith("PSNR")]
    assert values[1] > values[0]
    with Image.open(out) as picture:
        assert picture.size[0] == 4 * (256 + 8) + 8


def test_a_small_picture_is_the_input_itself(
    thumbnail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], small48: np.ndarray
) -> None:
    out = tmp_path / "comparison.png"

    run(Arguments(thumbnail, method="bicubic", out=out))

    assert "PSNR" not in capsys.readouterr().out
    with Image.open(out) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[1] == 2 * (256 + 8) + 8
    bicubic = pixels[18 : 18 + 256, 272:528]
    np.testing.assert_array_equal(bicubic[::4, ::4], resize_grey(small48[:1], 64, 64)[0])


def test_the_comparison_is_named_after_picture_and_method(
    thumbnail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    run(Arguments(thumbnail, method="bicubic"))

    assert (tmp_path / "thumbnail-bicubic.png").is_file()


def test_fitted_models_can_be_used_at_once(
    portrait: Path, tmp_path: Path, faces25: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    faces, model, out = (tmp_path / name for name in ("f.npy", "m.safetensors", "o.png"))
    np.save(faces, resize_grey(faces25, 64, 64))

    run_fit(FitArguments(faces, model, components=10))
    run(Arguments(portrait, method="eigenface_lmmse", model=model, out=out))

    said = capsys.readouterr().out
    assert "Read 100 pictures at 64x64" in said
    assert "plain bicubic" not in said
    assert out.is_file()


def test_a_zero_shot_start_is_fitted_on_small_pictures(
    thumbnail: Path, tmp_path: Path, small48: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    faces, model, out = (tmp_path / name for name in ("f.npy", "m.safetensors", "o.png"))
    np.save(faces, small48)

    run_fit(FitArguments(faces, model, kind="zssr", steps=20))
    run(Arguments(thumbnail, model=model, out=out))

    assert "Read 40 pictures at 48x48" in capsys.readouterr().out
    assert out.is_file()


def test_a_fallback_to_bicubic_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small48: np.ndarray
) -> None:
    Image.fromarray(small48[0][:20, :20]).save(tmp_path / "tiny.png")

    run(Arguments(tmp_path / "tiny.png", out=tmp_path / "out.png"))

    assert "plain bicubic" in capsys.readouterr().out


def test_bad_input_raises_one_sentence_and_writes_nothing(thumbnail: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    (tmp_path / "text.png").write_text("not a picture")
    cases = [
        (Arguments(tmp_path / "none.png", out=out), ImageError),
        (Arguments(tmp_path / "text.png", out=out), ImageError),
        (Arguments(thumbnail, method="eigenface_map", out=out), ConfigError),
        (Arguments(thumbnail, model=tmp_path / "none.safetensors", out=out), WeightsError),
        (Arguments(thumbnail, out=tmp_path / "out.jpg"), ConfigError),
        (Arguments(thumbnail, method="bicubic", out=thumbnail / "out.png"), DataError),
    ]
    before = sorted(tmp_path.iterdir())

    for arguments, error in cases:
        with pytest.raises(error) as caught:
            run(arguments)
        assert "\n" not in str(caught.value)

    assert sorted(tmp_path.iterdir()) == before


def test_fitting_on_nothing_usable_is_refused(tmp_path: Path, faces25: np.ndarray) -> None:
    np.save(tmp_path / "small.npy", faces25)
    out = tmp_path / "model.safetensors"

    with pytest.raises(DataError, match="64x64"):
        run_fit(FitArguments(tmp_path / "small.npy", out))
    with pytest.raises(ConfigError, match="limit"):
        run_fit(FitArguments(tmp_path / "small.npy", out, limit=0))

    assert not out.exists()
