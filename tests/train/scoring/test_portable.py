"""``python -m train export --format``: files that other runtimes answer from as torch does."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from emotion.analyzer import Analyzer
from emotion.network import EmotionNet, NetworkConfig
from emotion.weights import load
from tests.conftest import REPOSITORY
from train.cli import main
from train.scoring import portable
from train.scoring.inference import save_network
from train.scoring.portable import OUTPUTS, PortableGraph, compare, drawn_crops

DOCUMENT = REPOSITORY / "docs" / "runtimes.md"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained narrow weights with all that a graph may hold."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(1)
    config = NetworkConfig(
        backbone="cnn",
        widths=(8, 8, 16, 16),
        standardise="crop",
        mirror=True,
        calm=True,
        calm_bound=0.02,
        calm_temperature=0.3,
        temperature=0.7,
        temperature_slope=tuple(np.linspace(-9, 9, 16).tolist()),
        temperature_offset=0.1,
        class_offsets=(0.3, -0.2, 0.1, 0.0, -0.4, 0.2),
    )
    save_network(EmotionNet(config), folder)
    return folder


@pytest.fixture(autouse=True)
def few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable, "FACES", 60)  # more than a batch


def test_onnxruntime_alone_answers_from_the_file_as_the_document_says(
    run_folder: Path,
    tmp_path: Path,
    astronaut: npt.NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "emotion.onnx"

    assert (
        main(["export", "--weights", str(run_folder), "--format", "onnx", "--out", str(out)]) == 0
    )

    analyzer = Analyzer.from_weights(str(run_folder))
    (face,) = analyzer.analyze(astronaut)
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert "import emotion" not in code
    monkeypatch.chdir(tmp_path)
    names = {"photo": astronaut, "landmarks": face.landmarks}
    exec(code, names)
    crop = names["crop"]
    assert isinstance(crop, np.ndarray)
    assert np.abs(crop.astype(int) - face.crop).mean() < 4  # other filters, the same face
    answer = analyzer.classify(crop[None])
    for name, expected in zip(OUTPUTS[::2], (answer.probabilities, answer.cams), strict=True):
        np.testing.assert_allclose(names[name], expected, atol=1e-4)
    np.testing.assert_allclose(names["calm"], answer.calm, atol=1e-4)


@pytest.mark.parametrize("kind", ["openvino", "pt2"])
def test_other_formats_are_written_with_their_comparison(
    kind: str, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"network{portable.ENDINGS[kind]}"  # type: ignore[index]

    assert main(["export", "--weights", str(run_folder), "--format", kind, "--out", str(out)]) == 0

    assert out.exists()
    said = capsys.readouterr().out
    assert "on 60 drawn faces: probabilities" in said
    assert "calm" in said
    if kind == "pt2":
        facts = {"sep-emotion.json": ""}
        module = torch.export.load(io.BytesIO(out.read_bytes()), extra_files=facts).module()
        crops = drawn_crops(3)
        found = module(torch.from_numpy(crops))
        expected = Analyzer.from_weights(str(run_folder)).classify(crops)
        np.testing.assert_allclose(found[0].detach(), expected.probabilities, atol=1e-4)
        assert '"labels": "happiness,' in facts["sep-emotion.json"]


@pytest.mark.parametrize("backbone", ["cnn", "resnet18"])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_graph_computes_what_the_analyzer_does_in_numpy(backbone: str, mirror: bool) -> None:
    torch.manual_seed(2)
    config = NetworkConfig(
        backbone=backbone,  # type: ignore[arg-type]
        widths=(8, 8, 16, 16),
        mirror=mirror,
        temperature=1.3,
        class_offsets=(0.5, 0, 0, -0.5, 0, 0),
    )
    network = EmotionNet(config).eval()
    graph = PortableGraph(network)

    def run(crops: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        with torch.inference_mode():
            return [output.numpy() for output in graph(torch.from_numpy(crops))]

    difference = compare(network, run)

    assert list(difference) == list(OUTPUTS[:3])
    assert max(difference.values()) < 1e-5


def test_a_file_that_answers_otherwise_is_not_written(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = PortableGraph.forward

    def forward(graph: PortableGraph, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        probabilities, *others = whole(graph, crops)
        return (probabilities * 0.99, *others)

    monkeypatch.setattr(PortableGraph, "forward", forward)
    out = tmp_path / "emotion.pt2"

    assert main(["export", "--weights", str(run_folder), "--format", "pt2", "--out", str(out)]) == 1

    assert "Not written" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "onnx", "--out", "{folder}/x.pt"], "ends in .onnx"),
        (["--format", "pt2", "--out", "{folder}/gone/x.pt2"], "does not exist"),
        (["--out", "{folder}/x.onnx"], "leave out --out"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    words: str,
    run_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [text.format(folder=tmp_path) for text in arguments]

    assert main(["export", "--weights", str(run_folder), *given]) == 2

    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1


def test_the_shipped_weights_fit_the_graph() -> None:
    network = load("embedded").network

    with torch.inference_mode():
        outputs = PortableGraph(network)(torch.from_numpy(drawn_crops(2)))

    assert len(outputs) == (4 if network.config.calm else 3)
