"""The one import of OpenVINO; this module needs neither torch nor a network."""

from __future__ import annotations

import sys
from typing import Any


def import_openvino() -> Any:
    """Import OpenVINO without the package that reports each import and conversion to its makers.

    It would do so unasked, and this project promises its users that nothing leaves their machine.
    A missing package is a case that OpenVINO (and nncf) provides for.

    Raises:
        ImportError: if OpenVINO is not installed, or its libraries do not load.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
