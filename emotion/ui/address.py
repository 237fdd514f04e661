"""Whether the page can be served at an address; imports nothing, so that it answers at once."""

from __future__ import annotations

import errno
import socket

from emotion.errors import ConfigError

_NOT_HERE = "{} is not an address of this machine; use --host 127.0.0.1 or 0.0.0.0."


def check(host: str, port: int) -> None:
    """Make sure that the page can be served at an address, before anything slow is done.

    Raises:
        ConfigError: if the port is in use, not allowed, or the host is not this machine's.
    """
    if not 1 <= port <= 65535:
        raise ConfigError(f"{port} is not a port; choose one from 1024 to 65535 with --port.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except socket.gaierror:
        raise ConfigError(_NOT_HERE.format(host)) from None
    except PermissionError:
        raise ConfigError(f"Port {port} needs more rights; choose one above 1023.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} is in use; stop the other program or choose another with --port."
            ) from None
        raise ConfigError(_NOT_HERE.format(host)) from None
