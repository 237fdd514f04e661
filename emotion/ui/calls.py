"""What a call may hold: everything that Gradio would fail on gets a sentence before it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotion.errors import EmotionError
from emotion.labels import LABELS
from emotion.ui.routes import API, CALL, COMPONENT, JOIN, MAX_NAME, NAME
from emotion.ui.uploads import MAX_FILE, Uploads
from emotion.ui.wire import JSON, read_data_url

if TYPE_CHECKING:
    from gradio.blocks import Blocks

UNFETCHED = 256
"""Most sessions whose answers wait to be fetched; a program fetches its own at once."""

STRONGEST = "strongest"
"""Choice of ``/explain``: every face's most probable class."""

STYLE = "spotlight"
STYLES = (STYLE, "heat")
"""How ``/explain`` may draw evidence."""

_REQUIRED = object()
_HOW_TO_SEND = (
    f"Send the picture to {API}/upload first and give the path of the answer, or give a data URL."
)


class CallError(EmotionError):
    """A call that is not understood; the sentence says what to send."""


@dataclass(frozen=True)
class Parameter:
    """One argument of an endpoint: how it is read, and what it is where it is not given."""

    name: str
    read: Callable[[object, Uploads, str], object]
    default: object = _REQUIRED


def _picture(value: object, uploads: Uploads, address: str) -> object:
    place = value
    if isinstance(value, dict):
        place = value.get("path") or value.get("url")
    if isinstance(place, str) and place.startswith("data:"):
        content = read_data_url(place, limit=MAX_FILE)
        place = str(uploads.keep(content, address))
    if not isinstance(place, str) or not place:
        raise CallError(f"A picture is expected. {_HOW_TO_SEND}")
    if re.match(r"[a-z]+://", place):
        raise CallError(f"Pictures are not fetched from other hosts. {_HOW_TO_SEND}")
    if not uploads.holds(place):
        raise CallError(f"There is no upload of this name (any more). {_HOW_TO_SEND}")
    return {"path": place, "meta": {"_type": "gradio.FileData"}, "orig_name": Path(place).name}


def _flag(value: object, _uploads: Uploads, _address: str) -> object:
    if not isinstance(value, bool):
        raise CallError("detect is true or false.")
    return value


def _style(value: object, _uploads: Uploads, _address: str) -> object:
    if value not in STYLES:
        raise CallError(f"style is one of {', '.join(STYLES)}.")
    return value


def _label(value: object, _uploads: Uploads, _address: str) -> object:
    if not isinstance(value, str) or value not in (STRONGEST, *LABELS):
        raise CallError(f"label is one of {', '.join((STRONGEST, *LABELS))}.")
    return value


_PICTURE = Parameter("image", _picture)
_DETECT = Parameter("detect", _flag, True)
ENDPOINTS: Mapping[str, tuple[Parameter, ...]] = {
    "classify": (_PICTURE, _DETECT),
    "explain": (
        _PICTURE,
        Parameter("label", _label, STRONGEST),
        _DETECT,
        Parameter("style", _style, STYLE),
    ),
    "model_info": (),
    "health": (),
}
"""The arguments of each endpoint, in order; ``api.endpoints`` has the functions."""


class Calls:
    """Rewrites the bodies of calls so that Gradio meets nothing in them that it did not ask for."""

    def __init__(self, blocks: Blocks, uploads: Uploads) -> None:
        """Know the functions of a page, and where its uploads lie."""
        self._uploads = uploads
        self._blocks = blocks
        self._names = {fn._id: str(fn.api_name).strip("/") for fn in blocks.fns.values()}
        self._functions = {
            (block._id, name)
            for block in blocks.blocks.values()
            for name in dir(type(block)) + list(vars(block))
            if getattr(getattr(block, name, None), "_is_server_fn", False)
        }

    def rewrite(self, path: str, body: bytes, address: str) -> bytes:
        """Return what Gradio is to read in place of a body.

        Raises:
            CallError: if the body is not understood.
            ImageError: if a picture in it cannot be read.
            BlockingIOError: if the sender has too much here already.
        """
        values = _object(body)
        path = path.rstrip("/")
        if path.startswith(COMPONENT):
            fresh = self._component_call(values)
        elif path.startswith(JOIN):
            fresh = self._join(values, address)
        elif path.startswith(CALL):
            name = path.rpartition("/")[2]
            session = values.get("session_hash")
            fresh = {} if session is None else {"session_hash": _name(session, "session_hash")}
            arguments = self._arguments(name, values, path, address)
            if path.startswith(f"{CALL}/v2/"):
                names = [parameter.name for parameter in ENDPOINTS[name]]
                fresh = dict(zip(names, arguments, strict=True))
            else:
                fresh["data"] = arguments
        else:
            fresh = self._cancel(values)
        return json.dumps(fresh).encode()

    def _component_call(self, values: JSON) -> JSON:
        _name(values.get("session_hash"), "session_hash")
        part, function = values.get("component_id"), values.get("fn_name")
        if not _is_int(part) or (part, function) not in self._functions:
            raise CallError("There is no such function; reload the page.")
        # None of them keeps anything by session, so Gradio need not keep sessions either.
        return {
            "data": values.get("data"),
            "component_id": part,
            "fn_name": function,
            "session_hash": "page",
        }

    def _join(self, values: JSON, address: str) -> JSON:
        session = _name(values.get("session_hash"), "session_hash")
        index = values.get("fn_index")
        if not _is_int(index) or index not in self._names:
            raise CallError("fn_index is not that of a function of this page; reload it.")
        name = self._names[index]
        data: list[object] = []
        if name in ENDPOINTS:
            data = self._arguments(name, values, JOIN, address)
        trigger = values.get("trigger_id")
        return {
            "data": data,
            "fn_index": index,
            "session_hash": session,
            "trigger_id": trigger if _is_int(trigger) else None,
            "event_data": None,
        }

    def _arguments(self, name: str, values: JSON, path: str, address: str) -> list[object]:
        parameters = ENDPOINTS[name]
        if path.startswith(f"{CALL}/v2/"):
            given = {key: value for key, value in values.items() if key != "session_hash"}
            unknown = given.keys() - {parameter.name for parameter in parameters}
            if unknown:
                raise CallError(f"/{name} has no argument {sorted(unknown)[0][:MAX_NAME]!r}.")
        else:
            data = values.get("data", [])
            if not isinstance(data, list):
                raise CallError('The body is an object whose "data" is a list of arguments.')
            if len(data) > len(parameters):
                raise CallError(f"/{name} has at most {len(parameters)} arguments.")
            given = dict(zip([parameter.name for parameter in parameters], data, strict=False))
        # The picture last: it may be written to disk, and nothing shall stay of a refused call.
        read = {
            parameter.name: self._argument(name, parameter, given, address)
            for parameter in reversed(parameters)
        }
        return [read[parameter.name] for parameter in parameters]

    def _argument(self, endpoint: str, parameter: Parameter, given: JSON, address: str) -> object:
        value = given.get(parameter.name)
        if value is None and parameter.default is not _REQUIRED:
            return parameter.default
        if value is None:
            raise CallError(f"Send a picture as the first argument of /{endpoint}. {_HOW_TO_SEND}")
        return parameter.read(value, self._uploads, address)

    def _cancel(self, values: JSON) -> JSON:
        index = values.get("fn_index")
        return {
            "session_hash": _name(values.get("session_hash"), "session_hash"),
            "fn_index": index if _is_int(index) else -1,
            "event_id": _name(values.get("event_id"), "event_id"),
        }

    def forget_unfetched(self) -> None:
        """Drop the oldest answers beyond ``UNFETCHED``; Gradio would keep them for ever."""
        queue = self._blocks._queue
        kept = queue.pending_event_ids_session
        for session in list(kept)[: max(0, len(kept) - UNFETCHED)]:
            if not kept[session] & queue.event_ids_to_events.keys():  # none is under way
                del kept[session]
                queue.pending_messages_per_session.pop(session, None)

    def is_known(self, event: str) -> bool:
        """Tell whether a call of this id was made and its answer not fetched yet."""
        queue = self._blocks._queue
        waiting = queue.pending_event_ids_session.values()
        return event in queue.event_ids_to_events or any(event in ids for ids in waiting)


def _object(body: bytes) -> JSON:
    try:
        values = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise CallError("The body is not JSON; send an object.") from None
    if not isinstance(values, dict):
        raise CallError("The body is JSON, but not an object.")
    return values


def _name(value: object, key: str) -> str:
    if not isinstance(value, str) or re.fullmatch(NAME, value) is None:
        raise CallError(f"{key} is a name of at most {MAX_NAME} letters and digits.")
    return value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
