"""Who asks, and how much one address may ask."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import gradio as gr
    from starlette.requests import HTTPConnection

REMEMBERED = 2048
"""Most addresses and visitors that are remembered at a time."""


class Client(NamedTuple):
    """Who asks: an address, and one of the visitors who share it."""

    address: str
    visitor: str = ""


NOBODY = Client("")
"""Who asks where no request is behind the call."""


def client_of(request: gr.Request | HTTPConnection | None, visitor: str = "") -> Client:
    """Return who sent a request.

    Behind a proxy, all visitors have its address, unless the environment variable
    ``FORWARDED_ALLOW_IPS`` of uvicorn names it as one whose ``X-Forwarded-For`` is true.
    """
    peer = request.client if request is not None else None
    return Client(address_of(peer.host if peer else ""), visitor)


def address_of(host: str) -> str:
    """Return what stands for the sender of a request from this host.

    Of an IPv6 address that is its first 64 bits: whoever has one has all that share them.
    """
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


class RateLimit:
    """A token bucket per address."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic):
        """Let ``rate`` calls a second pass for long, and ``burst`` at once after a rest."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of when

    def wait(self, address: str) -> float:
        """Take a token and return 0, or the seconds until there is one."""
        now = self._clock()
        tokens, then = self._buckets.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        passes = tokens >= 1
        self._buckets[address] = (tokens - passes, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - tokens) / self._rate
