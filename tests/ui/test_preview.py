"""What a shared link shows."""

from __future__ import annotations

import io
import re

import httpx
from PIL import Image

from emotion.ui.preview import SIZE, described


def tags(page: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<meta\s+property="(og:[^"]+)"\s+content="([^"]*)"', page):
        found.setdefault(name, []).append(value)
    return found


def test_a_shared_link_says_what_the_page_is(served):
    page = httpx.get(served.url, headers={"accept-encoding": "identity"})
    assert int(page.headers["content-length"]) == len(page.content)
    packed = httpx.get(served.url)
    assert packed.text == page.text
    assert int(packed.headers["content-length"]) < len(page.content) / 3
    found = tags(page.text)
    assert found["og:title"] == ["Emotion Classifier"]
    assert found["og:url"] == [served.url]
    assert "six" in found["og:description"][0]
    assert "Gradio" not in str(found)
    picture = Image.open(io.BytesIO(httpx.get(found["og:image"][0]).content))
    assert picture.size == SIZE
    assert "window.gradio_config" in page.text


def test_the_address_is_that_at_which_the_page_was_asked_for(served):
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "faces.example"}
    found = tags(httpx.get(served.url, headers=headers).text)
    assert found["og:image"] == ["https://faces.example/preview.png"]


def test_an_address_cannot_bring_markup():
    page = b'<html><head></head>"root": "http://a"onload=x"'
    assert b'content="http://a/"' in described(page)
    page = b'<html><head></head>"root": "http://a<script>"'
    assert described(page) == page
