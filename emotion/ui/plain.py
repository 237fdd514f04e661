"""Pictures in, JSON out, in one request: for curl and programs without Gradio's client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import emotion
from emotion.errors import EmotionError
from emotion.labels import LABELS
from emotion.ui.analyses import analyse
from emotion.ui.clients import client_of
from emotion.ui.gate import BusyError
from emotion.ui.routes import BATCH, CLASSIFY, OPENAPI
from emotion.ui.uploads import MAX_FILE, refusal
from emotion.ui.wire import JSON

if TYPE_CHECKING:
    from starlette.requests import Request

    from emotion.ui.demo import Services

MAX_PICTURES = 16
"""Most pictures of one request; all together have at most ``refusals.MAX_BODY`` bytes."""

_FAILED = "Something went wrong on the server; its log says what."
_TOO_LARGE = f"The picture is larger than {MAX_FILE // 1024**2} MB; send a smaller one."

_log = logging.getLogger(__name__)


class Plain:
    """Answers ``POST /classify``, ``POST /classify_batch`` and ``GET /openapi.json``."""

    def __init__(self, services: Services) -> None:
        """Answer with what a page shares between its parts."""
        self._services = services

    def routes(self) -> list[Route]:
        """Return them, for the server."""
        return [
            Route(CLASSIFY, self._classify, methods=["POST"]),
            Route(BATCH, self._batch, methods=["POST"]),
            Route(OPENAPI, self._openapi),
        ]

    async def _classify(self, request: Request) -> Response:
        """Answer a picture, the body itself or the only file of a form, with a list of faces."""
        read = await _pictures(request, most=1)
        if isinstance(read, Response):
            return read
        ((_, content),) = read
        answer = await self._answer(request, content)
        if error := answer["error"]:
            return refusal(answer["status"], error)
        return JSONResponse(answer["faces"])

    async def _batch(self, request: Request) -> Response:
        """Answer a form of pictures with an object for each, in order.

        They are analysed one after the other, so that a batch takes no more turns at a time than a
        picture does.
        """
        read = await _pictures(request, most=MAX_PICTURES)
        if isinstance(read, Response):
            return read
        answers = []
        for name, content in read:
            answer = await self._answer(request, content)
            answers.append({"name": name, "faces": answer["faces"], "error": answer["error"]})
        return JSONResponse(answers)

    async def _answer(self, request: Request, content: bytes) -> JSON:
        client = client_of(request)
        detect = request.query_params.get("detect", "true").lower() not in ("false", "0", "no")

        def work() -> list[JSON]:
            if len(content) > MAX_FILE:
                raise EmotionError(_TOO_LARGE)
            return analyse(self._services, content, client, detect=detect).to_json()

        try:
            return {"faces": await anyio.to_thread.run_sync(work), "error": None, "status": 200}
        except BusyError as error:
            return {"faces": [], "error": str(error), "status": 503}
        except EmotionError as error:
            return {"faces": [], "error": str(error), "status": 422}
        except Exception:
            _log.exception("a picture could not be analysed")
            return {"faces": [], "error": _FAILED, "status": 500}

    async def _openapi(self, _request: Request) -> Response:
        return JSONResponse(document())


async def _pictures(request: Request, most: int) -> list[tuple[str, bytes]] | Response:
    """Read names and contents of the pictures of a request, or say what is wrong with it."""
    try:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            body = await request.body()
            return [("", body)] if body else refusal(422, _how(most))
        async with request.form(max_files=most + 1, max_fields=8) as form:
            found = [
                (file.filename or "", await file.read())
                for _, file in form.multi_items()
                if not isinstance(file, str)
            ]
    except HTTPException as error:
        return refusal(400, f"The form cannot be read ({error.detail}). {_how(most)}")
    except ClientDisconnect:
        return refusal(400, "The upload broke off; send it again.")
    if not 1 <= len(found) <= most:
        return refusal(422, _how(most))
    return found


def _how(most: int) -> str:
    if most == 1:
        return f"Send one picture: curl --data-binary @photo.jpg HOST{CLASSIFY}"
    return f"Send 1 to {most} pictures: curl -F picture=@a.jpg -F picture=@b.jpg HOST{BATCH}"


def document() -> JSON:
    """Return the OpenAPI description of these routes; Gradio's own lists its endpoints."""
    number = {"type": ["number", "null"]}
    face = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": list(LABELS)},
            "answer": {"type": "string"},
            "sure": {"type": "boolean"},
            "reason": {"type": ["string", "null"]},
            "calm": number,
            "candidates": {"type": "array", "items": {"type": "string"}},
            "probabilities": {
                "type": "object",
                "properties": {name: {"type": "number"} for name in LABELS},
            },
            "box": {"type": ["array", "null"], "items": {"type": "number"}},
            "landmarks": {
                "type": ["array", "null"],
                "items": {"type": "array", "items": {"type": "number"}},
            },
            "score": number,
            "picture": {
                "type": "object",
                "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}},
            },
        },
    }
    faces: JSON = {"type": "array", "items": {"$ref": "#/components/schemas/Face"}}
    detect = {
        "name": "detect",
        "in": "query",
        "schema": {"type": "boolean", "default": True},
        "description": "false takes each whole picture as one face",
    }
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "picture": {
                        "type": "array",
                        "maxItems": MAX_PICTURES,
                        "items": {"type": "string", "format": "binary"},
                    }
                },
            }
        }
    }
    several = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "faces": faces,
                "error": {"type": ["string", "null"]},
            },
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "SEP Emotion Classifier", "version": emotion.__version__},
        "paths": {
            CLASSIFY: {
                "post": _operation(
                    "Six probabilities for every face of a picture, at most 20",
                    {"image/*": binary, "application/octet-stream": binary},
                    detect,
                    faces,
                )
            },
            BATCH: {
                "post": _operation("The same for several pictures", form, detect, several),
            },
        },
        "components": {"schemas": {"Face": face}},
    }


def _operation(summary: str, content: JSON, parameter: JSON, answer: JSON) -> JSON:
    refused = {"description": "one sentence, as detail and as error"}
    return {
        "summary": summary,
        "parameters": [parameter],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "JSON", "content": {"application/json": {"schema": answer}}},
            **dict.fromkeys(("413", "422", "429", "503"), refused),
        },
    }
