"""A look at the deployed page as a program sees it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file

from emotion.errors import HubError
from emotion.labels import LABELS
from train.corpora.drawing import draw_face

_ATTEMPTS = 6  # the proxy learns of a new page some seconds after it runs
_TIMEOUT = 60.0


def try_out(url: str, token: str | None, model: str, *, pause: float) -> str:
    """Ask the page for its health, its weights, and the expression of a drawn face.

    Args:
        url: of the page.
        token: for a private Space, or None.
        model: the weights that it shall run, as ``space.yaml`` names them.
        pause: seconds between attempts to connect.

    Returns:
        A sentence on what it answered.

    Raises:
        HubError: if it does not answer as it should.
    """
    client = _connect(url, token, pause)
    try:
        health = client.predict(api_name="/health")
        model_info = client.predict(api_name="/model_info")
        faces = _classify(client)
    except Exception as error:  # the client raises ValueErrors, those of httpx, and its own
        raise HubError(
            f"The page at {url} runs but does not answer ({_first_line(error)}); look at its log "
            "on the Hub."
        ) from None
    finally:
        client.close()
    if health.get("status") != "ok":
        raise HubError(f"The page at {url} says that it is {health.get('status')}.")
    weights = model_info["weights"]
    if weights != model:
        why = model_info.get("notice") or "Its log on the Hub says why."
        raise HubError(f"The page at {url} runs the weights {weights}, not {model}. {why}")
    if len(faces) != 1 or set(faces[0]["probabilities"]) != set(LABELS):
        raise HubError(f"The page at {url} gives {len(faces)} answers for a drawing of one face.")
    return f"It answers: a drawn smile shows {faces[0]['label']} (weights {weights})."


def _connect(url: str, token: str | None, pause: float) -> Client:
    for attempt in range(_ATTEMPTS):
        try:
            return Client(
                url,
                token=token,
                verbose=False,
                download_files=False,
                analytics_enabled=False,
                httpx_kwargs={"timeout": _TIMEOUT},
            )
        except Exception as error:
            if attempt == _ATTEMPTS - 1:
                raise HubError(
                    f"The page at {url} cannot be reached ({_first_line(error)}); run the command "
                    "again in a minute."
                ) from None
            time.sleep(pause)
    raise AssertionError


def _classify(client: Client) -> list[dict[str, Any]]:
    image, _ = draw_face("happiness", seed=0, index=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.jpg"
        path.write_bytes(image)
        faces: list[dict[str, Any]] = client.predict(handle_file(path), api_name="/classify")
    return faces


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
