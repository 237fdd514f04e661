"""Weights, results and a model card to the Hub, and back to compare."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion import graph_file
from emotion.calibration import Calibration
from emotion.errors import ConfigError, DataError, EmotionError, HubError
from emotion.evaluation import RESULTS, Evaluation, read_json
from emotion.weights import CONFIG, EMBEDDED, INT8, TENSORS, Loaded, load
from train.config.fit import FitConfig, read_config, to_json
from train.hub import upload
from train.hub.card import model_card
from train.scoring.figures import render
from train.scoring.graph import network_graph
from train.scoring.history import LOG, read_history, to_lines

_MANAGED = re.compile(
    r"README\.md|config\.json|model\.safetensors|int8\.(json|xml|bin|onnx)|model\.onnx"
    r"|figures/[\w.-]+\.svg|evaluation/[\w.-]+\.json|training/(fit\.json|log\.jsonl)"
)
"""Paths that a push may write, and that the next one deletes if it has them no more."""
_UNSAFE = re.compile(r"[^\w.-]")


@dataclass(frozen=True)
class Pushed:
    """What the Hub holds now.

    Attributes:
        repository: ``USER/NAME``.
        commit: 40 hexadecimal digits.
        tag: name of that commit.
        url: address of the repository's page.
        files: their paths in it.
    """

    repository: str
    commit: str
    tag: str
    url: str
    files: tuple[str, ...]

    @property
    def spec(self) -> str:
        """What ``--weights`` takes."""
        return f"hf://{self.repository}@{self.commit}"


def push(source: str, repo: str, *, private: bool = False) -> Pushed:
    """Push a network with its results to a model repository, in one commit.

    Only the files of an allow-list are ever read or pushed, and those that hold numbers are written
    anew from them, so no picture can get there.

    Args:
        source: folder of a run, or ``embedded``.
        repo: ``USER/NAME``.
        private: whether a repository that is made can be seen by its owner only.

    Raises:
        ConfigError: if the name is none, or the repository is public and was to be private.
        WeightsError: if the run has no usable weights.
        DataError: if a result in the run is damaged or belongs to other weights.
        HubError: if the Hub refuses, cannot be reached, or gives back something else.
    """
    name = upload.parse_name(repo)
    if source.startswith("hf://"):
        raise ConfigError(f"{source} is on the Hub already; give --run the folder of a run.")
    loaded = load(source)
    files = collect(source, loaded, name)
    repository = upload.Repository(name, "model")
    upload.prepare(repository, private=private)
    message = f"Push {loaded.digest[:12]} with its results"
    commit = upload.commit(
        repository, files, lambda path: _MANAGED.fullmatch(path) is not None, message
    )
    _verify(loaded, f"hf://{name}@{commit}")
    return Pushed(name, commit, upload.tag(repository, commit), repository.url, tuple(files))


def collect(source: str, loaded: Loaded, name: str) -> dict[str, bytes]:
    """Gather what is pushed: path in the repository -> content.

    Args:
        source: folder of a run, or ``embedded``.
        loaded: its network.
        name: ``USER/NAME`` of the repository.

    Raises:
        DataError: if a result is damaged or belongs to other weights.
    """
    folder = EMBEDDED if source == "embedded" else Path(source)
    evaluations = _read_evaluations(source, loaded)
    files = {path: (folder / path).read_bytes() for path in (CONFIG, TENSORS)}
    for stem, evaluation in evaluations.items():
        files[f"evaluation/{stem}.json"] = _to_json(
            replace(evaluation, weights=f"hf://{name}").to_json()
        )
    files |= _read_int8(folder, loaded) | _read_browser_int8(folder, loaded)
    files[graph_file.NAME] = network_graph(loaded)
    if (folder / "calibration.json").is_file():
        files["evaluation/calibration.json"] = _to_json(read_json(folder / "calibration.json"))
    training = None
    if (folder / "fit.json").is_file():
        training = to_json(_without_folders(read_config(folder / "fit.json")))
        files["training/fit.json"] = _to_json(training)
    history = []
    if (folder / LOG).is_file():
        # Read and written again, so that nothing but JSON gets through.
        history = read_history(folder / LOG)
        files[f"training/{LOG}"] = to_lines(history).encode()
    figures = render(list(evaluations.values()), history)
    files |= {f"figures/{figure}": data for figure, data in figures.items()}
    card = model_card(
        name,
        loaded.network.config,
        sum(parameter.numel() for parameter in loaded.network.parameters()),
        list(evaluations.values()),
        training,
        list(files),
    )
    return {"README.md": card.encode(), **files}


def _without_folders(config: FitConfig) -> FitConfig:
    """Leave of paths on this machine the last part: the others are nobody's business."""

    def name(spec: str) -> str:
        return spec if spec.startswith("hf://") else Path(spec).name

    return replace(
        config,
        data=replace(config.data, teachers=tuple(map(name, config.data.teachers))),
        architecture=replace(config.architecture, init=name(config.architecture.init)),
        bort2=replace(config.bort2, clips=name(config.bort2.clips)),
    )


def _read_evaluations(source: str, loaded: Loaded) -> dict[str, Evaluation]:
    """Find what ``evaluate --json`` and ``results`` wrote: name for the repository -> numbers."""
    if source == "embedded":
        paths = [RESULTS]
    else:
        folder = Path(source)
        paths = sorted([*folder.glob("*.json"), *folder.glob("evaluation/*.json")])
        paths.sort(key=lambda path: path.name == RESULTS.name)  # it says the most, so it comes last
    found: dict[str, Evaluation] = {}
    for path in paths:
        values = read_json(path)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, dict) and {"confusion", "per_class"} <= value.keys():
                evaluation = Evaluation.from_json(value, f"The result {path}")
                _check_evaluation(path, evaluation, loaded)
                found[_name(evaluation)] = evaluation
    return found


def _name(evaluation: Evaluation) -> str:
    """Name what was measured, so that another measurement of it takes its place."""
    parts = [evaluation.corpus, evaluation.split]
    parts += [evaluation.tta] if evaluation.tta not in (None, "none") else []
    parts += ["without", str(evaluation.excluded)] if evaluation.excluded else []
    return _UNSAFE.sub("-", "-".join(parts))


def _check_evaluation(path: Path, evaluation: Evaluation, loaded: Loaded) -> None:
    again = "repeat python -m train evaluate --json for it, or remove it"
    if evaluation.digest not in (None, loaded.digest):
        raise DataError(f"The result {path} was measured with other weights; {again}.")
    calibration = Calibration.of(loaded.network.config).digest
    if evaluation.calibration_digest not in (None, calibration):
        raise DataError(f"The result {path} was measured with another calibration; {again}.")


def _read_int8(folder: Path, loaded: Loaded) -> dict[str, bytes]:
    """Read the 8-bit export that ``export`` laid beside the weights, if it did."""
    record, *model = INT8
    if not (folder / record).is_file():
        return {}
    values = read_json(folder / record)
    try:
        files = {record: _to_json(values), **{name: (folder / name).read_bytes() for name in model}}
        whole = [sha256(files[name]).hexdigest() for name in model] == values["files"]
    except (OSError, KeyError, TypeError):
        whole = False
    if not whole or values.get("weights") != loaded.digest:
        raise DataError(
            f"The 8-bit export in {folder} was made from other weights or is damaged; repeat "
            f"python -m train export, or remove {record}."
        )
    return files


def _read_browser_int8(folder: Path, loaded: Loaded) -> dict[str, bytes]:
    """Read the browser's 8-bit graph, if ``export`` laid one beside the weights."""
    if not (folder / graph_file.INT8).is_file():
        return {}
    graph = graph_file.read_int8(folder, loaded.digest, loaded.network.config)
    if graph is None:
        raise DataError(
            f"The file {folder / graph_file.INT8} was made from other weights or is damaged; "
            "repeat python -m train export, or remove it."
        )
    return {graph_file.INT8: graph}


def _to_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def _verify(local: Loaded, spec: str) -> None:
    """Pull a commit back and compare it with what was pushed."""
    try:
        pulled = load(spec)
    except EmotionError as error:
        raise HubError(
            f"The push arrived, but could not be pulled back and is not tagged ({error}) Repeat "
            "the command to check it."
        ) from None
    same = pulled.digest == local.digest and pulled.network.config == local.network.config
    if not (same and torch.equal(_logits(pulled), _logits(local))):
        raise HubError(
            f"{spec} gives other answers than what was pushed, so it is not tagged; push again."
        )


def _logits(loaded: Loaded) -> Tensor:
    """Run a network on fixed noise, (4, 6)."""
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits: Tensor = loaded.network(images)
    return logits
