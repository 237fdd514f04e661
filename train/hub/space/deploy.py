"""Making a Space what ``space.yaml`` says, and waiting until it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    SpaceHardware,
    get_token,
)

from emotion.errors import ConfigError, HubError
from emotion.hub.client import explained
from emotion.hub.reasons import is_out_of_reach
from train.hub.space.config import SpaceConfig
from train.hub.space.differences import Differences, Remote, look

Say = Callable[[str], None]

_FAILED = {
    "BUILD_ERROR": "could not be built",
    "RUNTIME_ERROR": "stopped while it started",
    "CONFIG_ERROR": "has a README that the platform does not accept",
    "NO_APP_FILE": "has no app file",
}
_ASLEEP = frozenset({"SLEEPING", "STOPPED", "PAUSED"})
_LOG_LINES = 20
# After a commit the platform goes on telling the stage of the old build for a moment. A stage
# counts if it belongs to the newest commit, or was seen this often in a row.
_TIMES_SEEN = 3


def name_of(api: HfApi, config: SpaceConfig, *, needs_token: bool) -> str:
    """Return ``OWNER/NAME``; a name without owner belongs to the account of the token.

    Raises:
        HubError: if the token is needed and missing or not valid.
    """
    repository = config.space.repository
    if needs_token or "/" not in repository or get_token():
        with explained("The account of your token could not be asked for"):
            account = str(api.whoami()["name"])
        return repository if "/" in repository else f"{account}/{repository}"
    return repository


def may_preload(api: HfApi, config: SpaceConfig) -> bool:
    """Make sure that the pinned model can be loaded by the Space, and say whether all may see it.

    Raises:
        HubError: if the commit or its files are not there, or the Space could not read them.
    """
    if config.pinned_model is None:
        return False
    repository, commit = config.pinned_model
    with explained(f"The model {config.model} could not be looked up", "read"):
        info = api.model_info(repository, revision=commit)
    missing = {"config.json", "model.safetensors"} - {f.rfilename for f in info.siblings or ()}
    if missing:
        raise HubError(
            f"The model {config.model} has no {min(missing)}; push one with python -m train push."
        )
    if info.private and "HF_TOKEN" not in config.secrets:
        raise HubError(
            f"The model {config.model} is private; add HF_TOKEN to the secrets in space.yaml, so "
            "that the Space can read it."
        )
    return not (info.private or info.gated)


def secret_values(names: list[str]) -> dict[str, str]:
    """Read secrets from the environment, all of them before any is sent.

    Raises:
        ConfigError: if one is missing.
    """
    values = {name: os.environ.get(_source(name), "") for name in names}
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise ConfigError(
            f"The secret {missing[0]} is neither in the Space nor in the environment; set the "
            f"variable {_source(missing[0])} and run the command again."
        )
    return values


def _source(secret: str) -> str:
    """Return the variable that holds a secret here.

    HF_TOKEN is the token that deploys: it may write, and is not for a Space that only reads.
    """
    return "SPACE_HF_TOKEN" if secret == "HF_TOKEN" else secret


def apply(
    api: HfApi,
    repository: str,
    config: SpaceConfig,
    staged: Mapping[str, bytes],
    differences: Differences,
    remote: Remote | None,
    say: Say,
) -> str:
    """Create the Space if needed and change what differs; files go in one commit, at the end.

    Whatever stops it, a second run finds what is done and goes on with the rest.

    Returns:
        The commit that the Space shall run.
    """
    secrets = secret_values(differences.set_secrets)
    if remote is None:
        with explained(f"The Space {repository} could not be created"):
            api.create_repo(
                repository,
                repo_type="space",
                space_sdk="gradio",
                space_hardware=SpaceHardware(config.space.hardware),
                visibility=config.space.visibility,
            )
            remote = look(api, repository)
        if remote is None:
            raise HubError(f"The Space {repository} was created, but is not to be found.")
        say(f"Created {repository}.")
    with explained(f"The settings of the Space {repository} could not be changed"):
        if differences.visibility == "private":
            api.update_repo_settings(repository, repo_type="space", visibility="private")
        if differences.hardware:
            api.request_space_hardware(repository, SpaceHardware(differences.hardware))
        for name, value in differences.set_variables.items():
            api.add_space_variable(repository, name, value)
        for name in differences.delete_variables:
            api.delete_space_variable(repository, name)
        for name, value in secrets.items():
            api.add_space_secret(repository, name, value)
    commit = remote.commit
    if differences.upload or differences.delete:
        commit = _commit(api, repository, staged, differences, commit)
        say(
            f"Uploaded {len(differences.upload)} and deleted {len(differences.delete)} files in "
            f"commit {commit[:12]}."
        )
    if differences.visibility == "public":  # nobody sees the old files under the new visibility
        with explained(f"The Space {repository} could not be made public"):
            api.update_repo_settings(repository, repo_type="space", visibility="public")
    return commit


def _commit(
    api: HfApi, repository: str, staged: Mapping[str, bytes], differences: Differences, parent: str
) -> str:
    operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = [
        *(CommitOperationAdd(path, staged[path]) for path in differences.upload),
        *(CommitOperationDelete(path, is_folder=False) for path in differences.delete),
    ]
    with explained(f"The files of the Space {repository} could not be uploaded"):
        made = api.create_commit(
            repository,
            operations,
            repo_type="space",
            commit_message="Deploy with python -m train space",
            parent_commit=parent,
        )
    return str(made.oid)


def wake(api: HfApi, repository: str, stage: str, *, built: bool) -> bool:
    """Start a Space that sleeps, or whose last start failed without a new commit to build.

    Args:
        api: client of the Hub.
        repository: ``OWNER/NAME``.
        stage: what it did before.
        built: whether a commit has made the platform build it anew.

    Returns:
        Whether that was needed.
    """
    if stage not in _ASLEEP and (built or stage not in _FAILED):
        return False
    with explained(f"The Space {repository} could not be restarted"):
        api.restart_space(repository, factory_reboot=stage in _FAILED)
    return True


def wait(
    api: HfApi,
    repository: str,
    commit: str,
    *,
    seconds: float,
    poll: float,
    secrets: list[str],
    say: Say,
) -> None:
    """Wait until the Space runs a commit.

    Args:
        api: client of the Hub.
        repository: ``OWNER/NAME``.
        commit: what it shall run.
        seconds: how long at most.
        poll: seconds between two looks.
        secrets: names whose values are kept out of the log.
        say: told every new stage.

    Raises:
        HubError: if it does not come up, with the end of its log.
    """
    deadline = time.monotonic() + seconds
    seen, times = "", 0
    while True:
        stage, message, running = _stage(api, repository)
        times = times + 1 if stage == seen else 1
        if stage != seen:
            say(f"Stage: {stage}")
        seen = stage
        if running == commit or times >= _TIMES_SEEN:
            if stage == "RUNNING":
                return
            if stage in _FAILED:
                log = _log(api, repository, secrets, build=stage == "BUILD_ERROR")
                told = f" ({message.strip()})" if message else ""
                raise HubError(f"The Space {repository} {_FAILED[stage]}{told}; its log:\n{log}")
            if stage in _ASLEEP:
                raise HubError(
                    f"The Space {repository} is {stage.lower()}; restart it on its settings page."
                )
        if time.monotonic() + poll > deadline:
            raise HubError(
                f"The Space {repository} is still {stage} after {seconds:.0f} seconds; run the "
                "command again to go on waiting, or look at its log on the Hub."
            )
        time.sleep(poll)


def _stage(api: HfApi, repository: str) -> tuple[str, str, str]:
    """Return stage, error message and the commit they belong to, as far as the Hub says them."""
    try:
        raw = api.get_space_runtime(repository).raw
    except Exception as error:
        if is_out_of_reach(error):
            return "UNKNOWN", "", ""
        with explained(f"The state of the Space {repository} could not be read"):
            raise
    return str(raw["stage"]), str(raw.get("errorMessage") or ""), str(raw.get("sha") or "")


def _log(api: HfApi, repository: str, secrets: list[str], *, build: bool) -> str:
    """Return the last lines of a log, without the values of secrets."""
    try:
        lines = "".join(api.fetch_space_logs(repository, build=build)).splitlines()
    except Exception:  # whatever keeps the log from being read is not what went wrong
        return "(it cannot be read; look at it on the Hub)"
    text = "\n".join(lines[-_LOG_LINES:])
    for value in filter(None, map(os.environ.get, map(_source, secrets))):
        text = text.replace(value, "***")
    return text or "(it is empty)"
