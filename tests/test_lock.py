"""The page's lock file against what it is made from and the advisories that are stored."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = (REPOSITORY / "requirements-page.lock").read_text("utf-8")
ADVISORIES = json.loads((REPOSITORY / ".ci" / "advisories.json").read_text("utf-8"))


def entries() -> list[str]:
    """Return the lock's entries: requirement and hashes on one line each."""
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").strip().splitlines()


def locked() -> dict[str, set[Version]]:
    """Return the locked versions by package; some depend on the system."""
    versions: dict[str, set[Version]] = {}
    for entry in entries():
        requirement = Requirement(entry.partition("--hash")[0])
        (version,) = requirement.specifier
        assert version.operator == "=="
        name = canonicalize_name(requirement.name)
        versions.setdefault(name, set()).add(Version(version.version))
    return versions


def test_every_entry_has_hashes() -> None:
    assert len(entries()) > 50
    for entry in entries():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}( |$)", entry), entry


def test_the_lock_has_the_pins_of_the_space() -> None:
    space = yaml.safe_load((REPOSITORY / "space.yaml").read_text("utf-8"))
    for pin in (*space["pre_requirements"], *space["requirements"]):
        name, _, version = pin.partition("==")
        assert locked()[canonicalize_name(name)] == {Version(version)}, "run make lock"


def test_the_lock_lies_within_the_ranges_that_are_supported() -> None:
    lines = (REPOSITORY / "requirements.txt").read_text("utf-8").splitlines()
    ranges = [Requirement(line) for line in lines if re.match(r"[a-z]", line)]
    for requirement in ranges:
        for version in locked().get(canonicalize_name(requirement.name), set()):
            assert version in requirement.specifier, requirement


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda advisory: advisory["id"])
def test_no_locked_version_has_a_hole_that_is_stored(advisory: dict[str, str]) -> None:
    assert advisory["source"].startswith("https://")
    fixed = min(locked()[advisory["package"]]) >= Version(advisory["fixed"])
    # What cannot be raised yet says why it does no harm, and no longer than it has to.
    assert fixed == ("unreachable" not in advisory)
