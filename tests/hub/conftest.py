"""One Hub and a few client processes for all tests of this folder; a repository per test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub.client import Client
from tests.hub.server import Account, Hub

NOWHERE = "http://127.0.0.1:9"
WRITER, READER, STRANGER = "hf_writer", "hf_reader", "hf_stranger"

ACCOUNTS = {
    WRITER: Account("me"),
    READER: Account("me", writes=False),
    STRANGER: Account("other"),
}


@pytest.fixture(scope="session")
def running_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub"), ACCOUNTS) as hub:
        yield hub


@pytest.fixture
def hub(running_hub: Hub) -> Hub:
    """The Hub, without faults and with an empty log."""
    running_hub.reset()
    return running_hub


@pytest.fixture(scope="session")
def hub_environment(running_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a client process; HF_HOME is shared by those that keep it."""
    return {
        "HF_ENDPOINT": running_hub.url,
        "HF_HOME": str(tmp_path_factory.mktemp("home")),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": "3",
        "HF_HUB_DOWNLOAD_TIMEOUT": "3",
        "HF_TOKEN": "",
    }


@pytest.fixture(scope="session")
def start_client(hub_environment: dict[str, str]) -> Iterator[Callable[..., Client]]:
    """Start a client process with a changed environment."""
    clients: list[Client] = []

    def start(**changes: str | Path) -> Client:
        changed = {name: str(value) for name, value in changes.items()}
        clients.append(Client({**hub_environment, **changed}))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def client(start_client: Callable[..., Client]) -> Client:
    """A client that is online."""
    return start_client()


@pytest.fixture(scope="session")
def offline(start_client: Callable[..., Client]) -> Client:
    """A client that may not use the network and shares the cache of ``client``."""
    return start_client(HF_HUB_OFFLINE="1")


@pytest.fixture(scope="session")
def stranded(start_client: Callable[..., Client]) -> Client:
    """A client that shares the cache of ``client``, whose Hub is down."""
    return start_client(HF_ENDPOINT=NOWHERE)


_NUMBERS = itertools.count()


@pytest.fixture
def repository() -> str:
    """A name that no other test uses, so that tests share a cache but nothing in it."""
    return f"me/model-{next(_NUMBERS)}"
