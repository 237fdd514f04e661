"""The detector's weights: the file that ships, any other, or the package's release."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from emotion.errors import WeightsError

MOBILENET_WEIGHTS = Path(__file__).parent.parent / "assets" / "retinaface-mobilenet025.safetensors"
RESNET50_URL = (
    "https://github.com/ternaus/retinaface/releases/download/0.01/"
    "retinaface_resnet50_2020-07-20-f168fae3c.zip"
)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Args:
        path: safetensors, or what torch saved, of which nothing but tensors is unpickled.

    Raises:
        WeightsError: if it is missing, damaged, or no plain state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        return OrderedDict(state.get("state_dict", state))
    except FileNotFoundError:
        raise WeightsError(
            f"The detector weights {path} are missing; give the path of an existing file."
        ) from None
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, AttributeError) as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise WeightsError(
            f"The detector weights {path} cannot be read ({reason}); download them again."
        ) from None
    except Exception as error:
        # weights_only loading refuses foreign pickles with pickle.UnpicklingError.
        raise WeightsError(
            f"The detector weights {path} are not a plain state dict ({type(error).__name__}); "
            "use safetensors."
        ) from None


def download() -> dict[str, Tensor]:
    """Download the release of the ResNet-50 detector once.

    Raises:
        WeightsError: if it cannot be had.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
                RESNET50_URL, progress=False, map_location="cpu", weights_only=True
            )
    except Exception as error:
        raise WeightsError(
            f"The ResNet-50 detector could not be downloaded from {RESNET50_URL} "
            f"({type(error).__name__}); give a local file, or use mobilenet0.25."
        ) from None
    return state
