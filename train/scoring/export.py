"""The 8-bit models that server and browsers run in place of the weights."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.regression import spearman_corrcoef
from tqdm import tqdm

from emotion import graph_file, int8
from emotion.calibration import Calibration
from emotion.classifier import EXAMPLE, VARYING, ClassifierGraph, evidence, read_out
from emotion.engine import Run
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.errors import ConfigError, DataError
from emotion.files import write_bytes
from emotion.followed import View
from emotion.network import EmotionNet
from emotion.weights import Loaded
from train.faces.prepared import HELD_OUT, VALIDATION, prepared_corpora, validation_split
from train.faces.store import FaceStore, hold_out, read_split
from train.scoring import browser
from train.scoring.graph import load_here, write_graph
from train.scoring.metrics import calibration_error

MAX_LOSS = 0.003
"""Accuracy on the validation faces that the 8-bit model may lose, as a share of 1."""

MIN_CORRELATION = 0.98
"""Mean rank correlation that its maps must keep with those of the weights."""

_BATCH = 32

# OpenVINO's operations in ``emotion.network.normalise``; the body has none of them, nor has the
# mean with the mirror image.
_STANDARDISING = ("Divide", "Subtract", "ReduceMean", "Power", "Sqrt", "Maximum")

Array = npt.NDArray[np.float32]


def export(weights: str, data: Path | None, calibration: int, limit: int) -> int:
    """Make, measure and, within the limits, write the 8-bit models of server and browsers.

    Args:
        weights: embedded, or the folder of a run.
        data: folder that ``prepare`` wrote; None takes the folder ``prepared`` of the run.
        calibration: training faces that set the ranges of 8-bit numbers.
        limit: measure on this many validation faces of each corpus; 0 takes all.

    Returns:
        Exit code: 0 if both were written, 1 if one was not good enough.

    Raises:
        ConfigError: if an option cannot work, or OpenVINO, nncf or ONNX Runtime is missing.
        DataError: if the prepared faces are missing, or the folder cannot be written.
        WeightsError: if the weights cannot be used.
    """
    if calibration < 1 or limit < 0:
        raise ConfigError("--calibration must be 1 or more, and --limit 0 or more.")
    loaded = load_here(weights)
    data = data or loaded.folder / "prepared"
    corpora = [split.partition("/")[0] for split in loaded.network.config.trained_on]
    if not corpora:
        raise DataError(
            f"The weights {weights} do not say what they were trained on, so no faces "
            "are known to be like theirs; train them with python -m train fit."
        )
    # Fine-tuned weights name those of the weights before them, too.
    there = [corpus for corpus in dict.fromkeys(corpora) if corpus in prepared_corpora(data)]
    training, validation = read_faces(data, there or corpora, calibration, limit)
    try:
        engine = OpenVINOEngine()
    except ImportError as error:
        raise ConfigError(f"{error}; install it: pip install openvino") from None
    browser.runtime()  # that it is missing is said before anything slow begins
    model = quantise(loaded.network, training, engine)
    measured = measure(loaded.network, engine.load(*model), engine, validation)
    good = _within_limits("The 8-bit model", measured)
    if good:
        int8.write(loaded.folder, model, loaded.digest, loaded.network.config, measured)
        size = sum(map(len, model)) / 1e6
        print(f"Wrote {loaded.folder / int8.RECORD} and its model ({size:.1f} MB).")
    written = export_browser(loaded, training, validation, engine)
    if good or written:
        write_graph(weights)
    return 0 if good and written else 1


def export_browser(
    loaded: Loaded, training: Tensor, validation: dict[str, FaceStore], engine: OpenVINOEngine
) -> bool:
    """Make, measure and, within the limits, write the browser's 8-bit graph.

    Args:
        loaded: weights in a folder.
        training: uint8 (N, 64, 64), faces that set the ranges.
        validation: name -> faces with labels.
        engine: runs the weights in float32.

    Returns:
        Whether it was written.

    Raises:
        ConfigError: if ONNX Runtime is missing.
        DataError: if the folder cannot be written.
    """
    graph = browser.quantise(loaded, views_of(loaded.network, training))
    measured = measure(loaded.network, browser.run_of(graph), engine, validation)
    if not _within_limits("The browser's 8-bit graph", measured):
        return False
    path = loaded.folder / graph_file.INT8
    write_bytes(path, browser.marked(graph, loaded, measured))
    print(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    return True


def _within_limits(what: str, measured: dict[str, dict[str, float]]) -> bool:
    """Print what was measured, and tell whether it may run."""
    print(f"{what}:")
    for name, numbers in measured.items():
        print(
            f"{name}: {numbers['n']} faces, accuracy {numbers['accuracy_float32']:.4f} -> "
            f"{numbers['accuracy_int8']:.4f}, calibration error {numbers['ece_float32']:.4f} -> "
            f"{numbers['ece_int8']:.4f}, rank correlation of the maps "
            f"{numbers['cam_correlation']:.4f}"
        )
    failure = too_costly(measured["all"])
    if failure:
        print(f"Not written, the weights run as they are: {failure}.")
    return failure is None


def views_of(network: EmotionNet, faces: Tensor) -> list[Tensor]:
    """Return the views of each face that the network answers from, uint8 (V, 64, 64)."""
    own = [faces, faces.flip(-1)] if network.config.mirror else [faces]
    return list(torch.stack(own, 1))


def read_faces(
    data: Path, corpora: list[str], calibration: int, limit: int
) -> tuple[Tensor, dict[str, FaceStore]]:
    """Read prepared faces.

    Args:
        data: folder that ``prepare`` wrote.
        corpora: which ones.
        calibration: how many training faces, over all corpora.
        limit: at most this many validation faces per corpus; 0 for all.

    Returns:
        Training faces uint8 (N, 64, 64), and the validation faces of every corpus.

    Raises:
        DataError: if a corpus is not there.
    """
    generator = torch.Generator().manual_seed(0)

    def some(store: FaceStore, count: int) -> FaceStore:
        return store.select(torch.randperm(len(store), generator=generator)[:count])

    training, validation = [], {}
    for corpus in corpora:
        faces = read_split(data, corpus, "train")
        if validation_split(corpus) is None:
            faces, _ = hold_out(faces, HELD_OUT, seed=0)
        held = read_split(data, corpus, VALIDATION)
        training.append(some(faces, -(-calibration // len(corpora))).faces)
        validation[corpus] = some(held, limit) if limit else held
    return torch.cat(training), validation


def quantise(network: EmotionNet, faces: Tensor, engine: OpenVINOEngine) -> tuple[bytes, bytes]:
    """Quantise the convolutions after training (Krishnamoorthi, 2018).

    Weights get a scale per channel, activations one per tensor, from the ranges seen on the faces.
    What standardises the crops stays in float32: in 8 bits the deviation of a dark one would be a
    rough guess. So do linear layers and maps, which are no part of the graph.

    Args:
        network: in float32.
        faces: uint8 (N, 64, 64), like those it was trained on.
        engine: converts it.

    Returns:
        Contents of the ``.xml`` and the ``.bin`` file of the model.

    Raises:
        ConfigError: if nncf is not installed.
    """
    logger_class = logging.getLoggerClass()
    try:
        import nncf
    except ImportError as error:
        raise ConfigError(
            f"The 8-bit model is made with nncf, which does not load ({error}); install it: "
            "pip install -r requirements-dev.txt"
        ) from None
    finally:
        # It makes every logger of the process say each sentence only once.
        logging.setLoggerClass(logger_class)
    logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function silences the root, too
    model = nncf.quantize(
        engine.convert(ClassifierGraph(network), EXAMPLE, VARYING),
        nncf.Dataset([views.numpy() for views in views_of(network, faces)]),
        subset_size=len(faces),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(types=[*_STANDARDISING], validate=False),
        # Without VNNI the sum of two products saturates at 16 bits; with half the range of the
        # weights it cannot, and the model computes the same on every processor.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.quantization.advanced_parameters.OverflowFix.ENABLE
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / int8.STRUCTURE
        engine.save(model, path)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def measure(
    network: EmotionNet, quantised: Run, engine: OpenVINOEngine, stores: dict[str, FaceStore]
) -> dict[str, dict[str, float]]:
    """Compare the 8-bit model with its weights.

    Args:
        network: the weights.
        quantised: the 8-bit model.
        engine: runs the weights in float32.
        stores: name -> faces with labels.

    Returns:
        Per name, and for ``all`` faces together: ``n``; ``accuracy`` and ``ece`` (expected
        calibration error, 15 bins), each with the ending ``_float32`` and ``_int8``; and
        ``cam_correlation``, the mean over faces of Spearman's rank correlation between the two maps
        of the class that the weights choose.
    """
    calibration = Calibration.of(network.config)
    reference = engine.compile(ClassifierGraph(network), EXAMPLE, VARYING)
    view = View.BOTH if network.config.mirror else View.STRAIGHT
    answers: dict[str, list[npt.NDArray[Any]]] = {}
    for name, store in stores.items():
        rows = []
        for start in tqdm(range(0, len(store), _BATCH), f"measuring {name}", leave=False):
            crops = store.faces[start : start + _BATCH].numpy()
            exact, rough = (
                read_out(network, evidence(run, crops, [view] * len(crops)))
                for run in (reference, quantised)
            )
            probabilities = [said.probabilities(calibration) for said, _ in (exact, rough)]
            correlation = cam_correlation(exact[1], rough[1], probabilities[0].argmax(1))
            rows.append([*probabilities, correlation])
        columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
        answers[name] = [store.labels.numpy(), *columns]
    answers["all"] = [np.concatenate(column) for column in zip(*answers.values(), strict=True)]
    return {name: _compare(*columns) for name, columns in answers.items()}


def _compare(
    labels: npt.NDArray[np.int64], exact: Array, rough: Array, correlation: Array
) -> dict[str, float]:
    """Return what ``measure`` says of N faces, from probabilities (N, 6) and correlations (N,)."""
    figures: dict[str, float] = {"n": len(labels)}
    for kind, probabilities in (("float32", exact), ("int8", rough)):
        right = probabilities.argmax(1) == labels
        figures[f"accuracy_{kind}"] = round(float(right.mean()), 5)
        figures[f"ece_{kind}"] = round(calibration_error(probabilities, labels), 5)
    figures["cam_correlation"] = round(float(np.nanmean(correlation)), 5)
    return figures


def cam_correlation(exact: Array, rough: Array, chosen: npt.NDArray[np.integer]) -> Array:
    """Compute Spearman's rank correlation between two maps of each face.

    Args:
        exact: (B, 6, 8, 8).
        rough: likewise.
        chosen: (B,), the class whose maps are compared.

    Returns:
        (B,), -1..1; not a number where the exact map is the same everywhere.
    """
    faces = np.arange(len(chosen))
    first, second = (
        torch.from_numpy(maps[faces, chosen].reshape(len(chosen), -1)).T for maps in (exact, rough)
    )
    values = np.atleast_1d(spearman_corrcoef(first, second).numpy())
    return np.where(first.amax(0) > first.amin(0), values, np.nan)


def too_costly(measured: dict[str, float]) -> str | None:
    """Say why the 8-bit model must not run in place of the weights, or return None."""
    loss = measured["accuracy_float32"] - measured["accuracy_int8"]
    if loss >= MAX_LOSS:
        return (
            f"it loses {100 * loss:.2f} points of accuracy, and {100 * MAX_LOSS:.1f} are too many"
        )
    if not measured["cam_correlation"] > MIN_CORRELATION:
        return (
            f"its maps' rank correlation with the exact ones is {measured['cam_correlation']:.4f}, "
            f"and it must be above {MIN_CORRELATION}"
        )
    return None
