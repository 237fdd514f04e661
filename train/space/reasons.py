"""Why the Hub did not do what was asked, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from emotion.errors import EmotionError

_NO_TOKEN = "there is no token; log in with `hf auth login`, or set HF_TOKEN to one that may write"

_BAD_CARD = "Invalid metadata in README.md.\n"  # how the client begins the Hub's verdict


class SpaceError(EmotionError):
    """The Space could not be deployed; a second run goes on where this one stopped."""


@contextmanager
def explained(attempt: str) -> Iterator[None]:
    """Turn what the Hub's client raises into one sentence.

    Args:
        attempt: what is being done, as in ``The Space me/x could not be ATTEMPT``.

    Raises:
        SpaceError: ``ATTEMPT: reason``; it never holds a token or an address.
    """
    try:
        yield
    except EmotionError:
        raise
    except Exception as error:
        # The client raises its own errors, those of two HTTP libraries, ValueErrors and OSErrors.
        raise SpaceError(f"{attempt}: {_reason(error)}.") from None


def is_passing(error: Exception) -> bool:
    """Tell an error that the next look may not meet: an overloaded or unreachable Hub."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429, 500, 502, 503, 504)
    return bool(_names(error) & {"TransportError", "TimeoutException"})


def _reason(error: Exception) -> str:
    match error:
        case LocalTokenNotFoundError():
            return _NO_TOKEN
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set; unset it"
        case HFValidationError():
            return "the Hub takes no such name; write OWNER/NAME in space.yaml"
        case RepositoryNotFoundError():
            return "it does not exist, or your token may not see it; check the name and HF_TOKEN"
        case HfHubHTTPError():
            return _reason_of_status(error)
        case ValueError() if str(error).startswith(_BAD_CARD):
            return f"the Hub refuses the card ({str(error).removeprefix(_BAD_CARD).strip(' -')})"
    names = _names(error)
    if "TimeoutException" in names:
        return "the Hub did not answer in time; run the command again"
    if "TransportError" in names:
        return "the Hub cannot be reached; check the network and HF_ENDPOINT"
    return "what answered is not a Hub; check HF_ENDPOINT and the network's proxy"


def _reason_of_status(error: HfHubHTTPError) -> str:
    status = error.response.status_code
    match status:
        case 400:
            return f"the Hub refuses it ({error.server_message or 'bad request'})"
        case 401:
            return "the token is not valid; renew HF_TOKEN, or log in with `hf auth login`"
        case 402:
            return (
                "the owner's plan does not include this hardware; subscribe, or set "
                "space.hardware in space.yaml to zero-a10g"
            )
        case 403:
            return "your token may not do this; use one that may write to the owner's repositories"
        case 409 | 412:
            return "somebody else has just changed the Space; run the command again"
        case 429:
            return "the Hub has had too many requests; run the command again later"
    return f"the Hub answers with status {status}; run the command again later"


def _names(error: Exception) -> set[str]:
    # The transport is httpx or httpx2, depending on the client's version.
    return {kind.__name__ for kind in type(error).__mro__}
