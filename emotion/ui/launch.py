"""How the page is served: every setting of Gradio's server in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio import http_server
from starlette.routing import Route

from emotion.errors import ConfigError
from emotion.ui import examples, preview, routes, server
from emotion.ui.clip_routes import ClipRoutes
from emotion.ui.device import DeviceFiles
from emotion.ui.early import TABS
from emotion.ui.plain import Plain
from emotion.ui.probes import Probes
from emotion.ui.strings import LANGUAGES, Language, say
from emotion.ui.theme import theme
from emotion.ui.uploads import MAX_FILE, refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from emotion.ui.demo import Page


def settings(page: Page, *, mcp: bool = False) -> dict[str, Any]:
    """Return what ``Blocks.launch`` is given besides the address."""
    services = page.services
    endpoint: Any = _no_mcp
    if mcp:
        from emotion.ui.mcp import McpEndpoint

        endpoint = McpEndpoint(services)
    own = [
        Route(routes.UPLOAD, services.uploads.receive, methods=["POST"]),
        *Probes(services.serving, services.gate).routes(),
        *DeviceFiles(services.serving).routes(),
        *Plain(services).routes(),
        examples.route(),
        *ClipRoutes(services.clips).routes(),
        *preview.routes(),
        Route(routes.MCP, endpoint, methods=["POST"]),
    ]
    return {
        "theme": theme(),
        "i18n": gr.I18n(**{language: _tabs(language) for language in LANGUAGES}),
        "app_kwargs": {"routes": own},  # they come before Gradio's
        "max_file_size": MAX_FILE,
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


def _tabs(language: Language) -> dict[str, str]:
    return {f"tab_{name}": say(f"tab_{name}", language) for name in TABS}


async def _no_mcp(_request: Request) -> Response:
    return refusal(404, "MCP is not served here; start the page with --mcp.")


def start(page: Page, host: str, port: int, root_path: str = "", *, mcp: bool = False) -> str:
    """Start the server and return the page's address; the caller decides how long it runs.

    Args:
        page: what ``demo.build`` made.
        host: address to listen on.
        port: port to listen on.
        root_path: path under which a proxy serves the page, or its whole address there.
        mcp: whether ``/mcp`` answers.

    Raises:
        ConfigError: if the port was taken after ``address.check`` found it free.
    """
    theirs = http_server.start_server
    http_server.start_server = server.start_server  # type: ignore[assignment]
    try:
        page.launch(
            server_name=host,
            server_port=port,
            root_path=root_path,
            prevent_thread_lock=True,
            **settings(page, mcp=mcp),
        )
    except OSError:
        raise ConfigError(f"Port {port} was taken a moment ago; choose another one.") from None
    finally:
        http_server.start_server = theirs
    if not isinstance(page.server, server.Server):
        raise ConfigError(
            "This release of Gradio starts its server in another way, without our limits; "
            "install the one that space.yaml names."
        )
    return f"http://{server.in_url(host)}:{port}/"


def stop(page: Page) -> None:
    """Answer what is under way, for at most ``server.STOPS_WITHIN`` seconds; leave nothing."""
    page.server_app.stop_event.set()  # ends the streams that only say that the page is open
    page.server.close()  # type: ignore[no-untyped-call]
    page.close(verbose=False)
    page.services.clips.close()
    page.services.decoder.close()
    page.services.uploads.close()
