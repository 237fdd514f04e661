"""How the page is served: every setting of Gradio's server in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.middleware import Middleware

from emotion.errors import ConfigError
from emotion.ui.limits import RequestGate
from emotion.ui.markup import page_head
from emotion.ui.photo import MAX_PHOTO_BYTES
from emotion.ui.strings import LANGUAGES, table
from emotion.ui.theme import theme

if TYPE_CHECKING:
    from gradio.blocks import Blocks


def settings() -> dict[str, Any]:
    """Return what ``Blocks.launch`` is given besides the address."""
    return {
        "theme": theme(),
        "head": page_head(),
        "i18n": gr.I18n(**{language: table()[language] for language in LANGUAGES}),
        "app_kwargs": {"middleware": [Middleware(RequestGate)]},
        "max_file_size": MAX_PHOTO_BYTES,
        "state_session_capacity": 200,
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "strict_cors": True,
        "ssr_mode": False,
        "share": False,
        "pwa": False,
        "mcp_server": False,
        "quiet": True,
    }


def start(demo: Blocks, host: str, port: int) -> str:
    """Start the server and return the page's address; the caller decides how long it runs.

    Raises:
        ConfigError: if the port was taken after ``address.check`` found it free.
    """
    try:
        _, address, _ = demo.launch(
            server_name=host, server_port=port, prevent_thread_lock=True, **settings()
        )
    except OSError:
        raise ConfigError(f"Port {port} was taken a moment ago; choose another one.") from None
    return str(address)
