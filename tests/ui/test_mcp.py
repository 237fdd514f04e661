"""The server as a real MCP client meets it."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import pytest
from mcp.client import Client
from PIL import Image

from emotion.page import serve
from emotion.ui import launch


def ask(url: str, **arguments: object):
    async def call():
        async with Client(f"{url}mcp") as client:
            tools = await client.list_tools()
            return tools.tools, await client.call_tool("classify_picture", arguments)

    return asyncio.run(call())


@pytest.fixture
def portrait(astronaut) -> str:
    buffer = io.BytesIO()
    Image.fromarray(astronaut).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_picture_is_answered_in_words_and_numbers(served, portrait, astronaut, analyzer):
    (tool,), answer = ask(served.url, picture=portrait)

    assert tool.name == "classify_picture"
    assert set(tool.input_schema["properties"]) == {"picture", "detect"}
    assert tool.input_schema["required"] == ["picture"]
    assert not answer.is_error
    (words,) = [part.text for part in answer.content]
    assert words.startswith("There is 1 face. Face 1 (")
    assert "happiness" in words
    (face,) = analyzer.analyze(astronaut)
    assert str(analyzer.explain(face).finding()) in words
    (numbers,) = answer.structured_content["faces"]
    assert numbers == {**face.to_dict(), "picture": {"width": 512, "height": 512}}


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("/etc/passwd", "paths and addresses are not read"),
        ("https://example.org/a.png", "paths and addresses are not read"),
        (base64.b64encode(b"hello").decode(), "not a picture"),
    ],
)
def test_what_is_no_picture_is_an_error_in_one_sentence(served, picture, words):
    _, answer = ask(served.url, picture=picture)

    assert answer.is_error
    assert words in answer.content[0].text


def test_without_the_option_the_sentence_says_how_to_have_it():
    answer = asyncio.run(launch._no_mcp(None))

    assert answer.status_code == 404
    assert "--mcp" in json.loads(answer.body)["error"]


def test_without_the_package_the_option_is_one_sentence(monkeypatch):
    from argparse import Namespace
    from pathlib import Path

    from emotion import page
    from emotion.errors import ConfigError

    monkeypatch.setattr(page, "find_spec", lambda name: None if name == "mcp" else object())
    arguments = Namespace(host="127.0.0.1", port="7860", weights=None, mcp=True)

    with pytest.raises(ConfigError, match="pip install mcp"):
        serve(arguments, Path("none"))
