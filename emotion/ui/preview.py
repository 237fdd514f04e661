"""What a link to the page looks like where it is shared: Open Graph tags, and their picture."""

from __future__ import annotations

import io
import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont
from starlette.responses import Response
from starlette.routing import Route

from emotion.labels import COLORS, LABELS
from emotion.ui.routes import PREVIEW
from emotion.ui.strings import say

if TYPE_CHECKING:
    from starlette.requests import Request

SIZE = 1200, 630
"""Of the picture in px, what the networks ask for."""

_GROUND, _INK, _QUIET = "#f8f7f5", "#1d1c1a", "#5d5953"
_SHARES = (0.82, 0.34, 0.22, 0.15, 0.1, 0.28)  # a drawing; these are nobody's numbers
_THEIRS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')
_ROOT = re.compile(rb'"root":\s*"(https?://[^"\\<>]+)"')


def described(page: bytes) -> bytes:
    """Put our tags in the place of Gradio's, which call every page "Gradio".

    Args:
        page: HTML of the page; it names the address at which it was asked for.
    """
    head = page.find(b"<head>")
    root = _ROOT.search(page)
    if head < 0 or root is None:
        return page
    address = root[1].decode("utf-8", "replace").rstrip("/")
    facts = {
        "og:type": "website",
        "og:url": f"{address}/",
        "og:title": say("name"),
        "og:description": say("share_what"),
        "og:image": f"{address}{PREVIEW}",
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": say("tagline"),
    }
    tags = "".join(
        f'<meta property="{name}" content="{escape(value)}">' for name, value in facts.items()
    )
    tags += f'<meta name="description" content="{escape(say("share_what"))}">'
    tags += '<meta name="twitter:card" content="summary_large_image">'
    start, rest = page[: head + len(b"<head>")], page[head + len(b"<head>") :]
    return start + tags.encode() + _THEIRS.sub(b"", rest)


def routes() -> list[Route]:
    """Return the route of the picture, for the server."""

    async def answer(_request: Request) -> Response:
        headers = {"cache-control": "max-age=86400"}
        return Response(picture(), media_type="image/png", headers=headers)

    return [Route(PREVIEW, answer)]


@cache
def picture() -> bytes:
    """Draw the name, what it does, and six bars in their colours, as a PNG."""
    image = Image.new("RGB", SIZE, _GROUND)
    draw = ImageDraw.Draw(image)
    draw.text((90, 84), say("name"), _INK, ImageFont.load_default(76))
    draw.text((92, 186), say("tagline"), _QUIET, ImageFont.load_default(38))
    font = ImageFont.load_default(30)
    for index, (name, share) in enumerate(zip(LABELS, _SHARES, strict=True)):
        y = 282 + 50 * index
        draw.text((92, y), say(name), _INK if not index else _QUIET, font, anchor="lm")
        draw.rounded_rectangle((300, y - 11, 1108, y + 11), 11, "#e7e4df")
        draw.rounded_rectangle((300, y - 11, 300 + 808 * share, y + 11), 11, COLORS[name])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
