"""The first view, in the page that Gradio makes."""

from __future__ import annotations

import re

import httpx

from emotion.ui.early import with_early_view


def test_the_first_view_needs_nothing_that_gradio_fetches(served):
    page = httpx.get(served.url).text
    before = page[: page.index("<gradio-app")]
    assert 'data-do="start"' in before
    assert not re.findall(r'<script[^>]*\ssrc=|<link rel="stylesheet"', page)
    assert page.count('rel="modulepreload"') == page.count(" data-entry>") == 1


def test_what_is_no_page_stays_as_it_is(analyzer):
    assert with_early_view(b"busy", analyzer) == b"busy"
