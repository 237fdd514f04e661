"""The numbers that Python and the browser's scripts share, from where Python has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from emotion import cover, covered, doubt, fills, pairing, tracker, upright
from emotion.align import CROP_SIZE, MAX_RESIDUAL, template
from emotion.analyzer import FRAME_SIDE
from emotion.calibration import CALM_BOUND, MOST, Calibration
from emotion.cam import GRID, grid_taps
from emotion.detect import around, plausible, priors, retinaface
from emotion.labels import CALM, LABELS, NOT_SURE
from emotion.network import EmotionNet, normalise
from emotion.reliability import MIN_SCORE, RELIABLE
from emotion.ui.wire import JSON

if TYPE_CHECKING:
    from torch import Tensor

    from emotion.analyzer import Analyzer
    from emotion.graph_file import GraphFile

_SMALLEST = 16.0  # px, the default of ``Detector.detect``


def numbers(analyzer: Analyzer, graph: GraphFile) -> JSON:
    """Return everything that the scripts of ``emotion/ui/device`` need to know, as JSON values.

    Args:
        analyzer: whose answers they give.
        graph: that they run.
    """
    config = analyzer.network.config
    weights, bias = covered._regression()
    return {
        "labels": LABELS,
        "notSure": NOT_SURE,
        "calm": CALM,
        "calmBound": CALM_BOUND,
        "abstainBelow": config.abstain_below,
        "frameSide": FRAME_SIDE,
        "minScore": MIN_SCORE,
        "reliable": RELIABLE,
        "size": CROP_SIZE,
        "template": template(config.zoom).tolist(),
        "plainTemplate": template().tolist(),
        "maxResidual": MAX_RESIDUAL,
        "reasons": doubt.REASONS,
        "detector": {
            "steps": priors.STEPS,
            "minSizes": priors.MIN_SIZES,
            "variances": priors.VARIANCES,
            "overlap": priors.OVERLAP,
            "smallSide": retinaface._SMALL_SIDE,
            "coarseSide": retinaface._COARSE_SIDE,
            "fineSide": retinaface._FINE_SIDE,
            "fineFace": retinaface._FINE_FACE,
            "fineScore": retinaface._FINE_SCORE,
            "minSize": _SMALLEST,
        },
        "minContrast": plausible.MIN_CONTRAST,
        "sharedHead": plausible._SHARED,
        "upright": {
            "maxRoll": upright.MAX_ROLL,
            "score": upright._DOUBTFUL_SCORE,
            "roll": upright._DOUBTFUL_ROLL,
            "aspect": upright._DOUBTFUL_ASPECT,
            "residual": upright._DOUBTFUL_RESIDUAL,
            "side": upright._SIDE,
        },
        "doubt": {
            "nearest": doubt._NEAREST,
            "missing": doubt._MISSING,
            "oval": doubt._OVAL.tolist(),
        },
        "covered": {
            "cells": covered._CELLS,
            "least": covered._LEAST,
            "minDeviation": covered._MIN_DEVIATION,
            "weights": weights.tolist(),
            "bias": bias,
        },
        "tracker": {
            "timeConstant": tracker.TIME_CONSTANT,
            "patience": tracker.PATIENCE,
            "longestPause": tracker.LONGEST_PAUSE,
            "hold": tracker.HOLD,
            "openingFrames": tracker.OPENING_FRAMES,
            "openingSeconds": tracker.OPENING_S,
            "sameFace": pairing.SAME_FACE,
            "samePlace": around.SAME,
            "least": tracker._LEAST,
            "oneViewWithin": tracker.ONE_VIEW_WITHIN,
            "clear": tracker.CLEAR,
        },
        "cover": {
            "parts": cover.PARTS,
            "faint": cover.FAINT,
            "least": cover.LEAST,
            "margin": cover.MARGIN,
            "steps": fills._STEPS,
            "spread": fills._SPREAD,
        },
        "mirror": config.mirror and not graph.mirrors,
        "network": _network(analyzer.network),
    }


def _network(network: EmotionNet) -> JSON:
    """Return what follows the feature maps: it changes with convention and calibration."""
    config, head = network.config, network.head
    calibration = Calibration.of(config)
    calm = None
    if network.calm is not None:
        calm = {
            "weight": _plain(network.calm.weight[0]),
            "bias": _plain(network.calm.bias)[0],
            "bound": config.calm_bound,
            "temperature": config.calm_temperature,
        }
    cells = _map_size(network)
    rows, columns = grid_taps(*cells, config)
    return {
        "grid": GRID,
        "weight": [_plain(row) for row in head.weight],
        "bias": _plain(head.bias),
        "calm": calm,
        "rows": rows.tolist(),
        "columns": columns.tolist(),
        "calibration": {
            "typical": calibration.typical,
            "slope": calibration.slope,
            "offset": calibration.offset,
            "classOffsets": calibration.class_offsets,
            "most": MOST,
        },
    }


def _map_size(network: EmotionNet) -> tuple[int, int]:
    with torch.inference_mode():
        blank = torch.zeros(1, CROP_SIZE, CROP_SIZE, dtype=torch.uint8)
        height, width = network.features(normalise(blank, network.config)).shape[-2:]
    return height, width


def _plain(values: Tensor) -> list[float]:
    # Nine digits tell every float32 from its neighbours.
    return [float(f"{value:.9g}") for value in values.tolist()]
