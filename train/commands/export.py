"""``python -m train export``: models beside the weights, and the network for other runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from emotion.errors import ConfigError


@dataclass(frozen=True)
class Arguments:
    """Make the 8-bit models that the page runs, or the network as one file for another runtime.

    There are two, for the server (OpenVINO) and for browsers (int8.onnx). They run in place of the
    weights, two to four times as fast. Each is calibrated on training faces and measured on
    validation faces, of the corpora that the weights were trained on, and written beside the
    weights if it costs less than 0.3 points of accuracy and keeps the heat maps (rank correlation
    above 0.98). Other weights in that folder are never run with it.

    The graph, model.onnx, lets browsers run the weights; fit and push write it by themselves. The
    8-bit models bring it along.

    The other formats need no corpora. The file takes crops and gives calibrated probabilities,
    logits, maps and calm. It is compared with torch on 500 drawn faces before it is written.

    Examples: python -m train export --weights embedded --data prepared;
    python -m train export --run runs/mine;
    python -m train export --weights embedded --format onnx --out emotion.onnx
    """

    weights: Annotated[str, tyro.conf.arg(aliases=("--run",))]
    """embedded, or the folder of a run; for other formats hf://USER/NAME@REVISION, too."""
    format: Literal["int8", "graph", "onnx", "openvino", "pt2"] = "int8"
    """int8 or graph, laid beside the weights; or a file for ONNX, OpenVINO, or torch.export."""
    out: Path | None = None
    """File of the other formats; by default emotion.onnx, emotion.xml or emotion.pt2 here."""
    data: Path | None = None
    """Folder that prepare wrote; by default the folder 'prepared' of the run."""
    calibration: int = 256
    """Training faces that set the ranges of 8-bit numbers, the same share of every corpus."""
    limit: int = 0
    """Measure on this many validation faces of each corpus; 0 takes all."""


def run(arguments: Arguments) -> int:
    """Export, see ``train.scoring.export`` and ``train.scoring.portable``."""
    if arguments.format != "int8" and arguments.format != "graph":
        from train.scoring.portable import export_portable

        return export_portable(arguments.weights, arguments.format, arguments.out)
    if arguments.out is not None:
        raise ConfigError("Graph and 8-bit model lie beside their weights; leave out --out.")
    if arguments.format == "graph":
        from train.scoring.graph import write_graph

        print(f"Wrote {write_graph(arguments.weights)}.")
        return 0
    from train.scoring.export import export

    return export(arguments.weights, arguments.data, arguments.calibration, arguments.limit)
