"""``python -m train space``: from ``space.yaml`` to a page that answers."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, get_session, get_token
from huggingface_hub.utils.tqdm import disable_progress_bars

from emotion.errors import ConfigError, HubError
from emotion.hub.client import explained
from train.hub.space.config import read
from train.hub.space.deploy import apply, may_preload, name_of, wait, wake
from train.hub.space.differences import compare, describe, look
from train.hub.space.stage import stage

_PATIENCE = 3 * constants.HF_HUB_DOWNLOAD_TIMEOUT
"""Seconds of silence after which a request is given up; a commit takes longer than an answer."""

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Arguments:
    """Deploy the page to Hugging Face Spaces as space.yaml says.

    Checks the file, collects what the page needs, creates the Space, sets its variables and
    secrets, uploads what differs in one commit, waits until it runs, and tries it. A second run
    changes nothing. The token is that of `hf auth login` or HF_TOKEN.

    For example:

    python -m train space --dry-run

    python -m train space
    """

    dry_run: bool = False
    """Show what the Space would hold and how that differs from what is there; change nothing."""
    renew_secrets: bool = False
    """Send the values of all secrets again, not only of those that the Space lacks."""
    timeout: float = 1800
    """Seconds to wait for the Space to be built and started."""
    poll: float = 5
    """Seconds between two looks at its state."""


def run(args: Arguments, root: Path = ROOT) -> int:
    """Deploy, or show what would be done.

    Args:
        args: the command line.
        root: the project's folder.

    Raises:
        EmotionError: if anything is wrong, in one sentence; a second run goes on from there.
    """
    if args.poll <= 0 or args.timeout < 0:
        raise ConfigError("The time-out and the poll interval are seconds above 0.")
    config = read(root)
    api = _client()
    staged = stage(config, root, preload=may_preload(api, config))
    if args.dry_run:
        _print_tree(staged)
    repository = name_of(api, config, needs_token=not args.dry_run)
    with explained(f"The Space {repository} could not be looked up"):
        remote = look(api, repository)
    known = remote is None or None not in (remote.variables, remote.secrets)
    if not known and not args.dry_run:
        raise HubError(f"Your token may not change {repository}; use one with write access.")
    differences = compare(config, staged, remote, renew=args.renew_secrets)
    lines = describe(config, differences, remote)
    if args.dry_run:
        _print_differences(repository, lines, known=known)
        return 0
    commit = apply(api, repository, config, staged, differences, remote, _say)
    if not lines:
        print(f"{repository} is up to date.")
    if remote and wake(api, repository, remote.stage, built=commit != remote.commit):
        print(f"Restarted {repository}, which was {remote.stage}.")
    wait(
        api,
        repository,
        commit,
        seconds=args.timeout,
        poll=args.poll,
        secrets=config.secrets,
        say=_say,
    )
    with explained(f"The address of the Space {repository} could not be asked for"):
        url = api.space_info(repository).host
    if not url:
        raise HubError(f"The Space {repository} runs, but the Hub names no address for it.")
    from train.hub.space.smoke import try_out  # gradio_client is slow to import, for every command

    token = get_token() if config.space.visibility == "private" else None
    print(try_out(url, token, config.model, pause=args.poll))
    print(f"It runs on {url}")
    return 0


def _client() -> HfApi:
    """Make a client that neither waits for ever, as it does by itself, nor talks in between."""
    get_session().timeout = _PATIENCE
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(library_name="sep-emotion-classifier")


def _say(line: str) -> None:
    print(line, flush=True)


def _print_tree(staged: dict[str, bytes]) -> None:
    print("The Space would hold:")
    for path, data in staged.items():
        print(f"  {len(data):>10,}  {path}")
    print(f"  {sum(map(len, staged.values())):>10,}  bytes in {len(staged)} files")


def _print_differences(repository: str, lines: list[str], *, known: bool) -> None:
    print(f"Differences from {repository}:" if lines else f"{repository} is up to date.")
    for line in lines:
        print(f"  {line}")
    if not known:
        print("  variables and secrets: only a token with write access may read them")
