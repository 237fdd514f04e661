"""Deployment to a Hub that runs what it is given, and to one that refuses or fails."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client as PageClient
from gradio_client import handle_file
from PIL import Image

from tests.hub.client import Client
from tests.hub.conftest import READER, STRANGER, WRITER
from tests.hub.server import Hub
from tests.hub.spaces import Space
from tests.train.hub.space.conftest import SPACE
from tests.train.hub.space.conftest import project as project

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "value-of-the-secret"
# Whichever test comes first waits until the project's own page has started.
pytestmark = pytest.mark.timeout(600)

COMMIT = r"POST /api/spaces/.*/commit/main"


@dataclass(frozen=True)
class Outcome:
    """What one run of the command gave."""

    code: int
    out: str
    error: str


def run(root: Path, environment: dict[str, str], arguments: dict[str, Any]) -> Outcome:
    """Run the command in the process of a client; its polls are short."""
    import os

    from emotion.errors import EmotionError
    from train.commands.space import Arguments
    from train.commands.space import run as command

    for name in ("SECRET", "SPACE_HF_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            code, error = command(Arguments(**{"poll": 0.05, **arguments}), root), ""
        except EmotionError as caught:
            code, error = 2, str(caught)
    return Outcome(code, out.getvalue(), error)


Deploy = Callable[..., Outcome]


@pytest.fixture
def deploy(client: Client, project: Path) -> Deploy:
    """Run the command on the small project, as the writer unless a token is given."""

    def deploy(token: str = WRITER, secret: str = "", **arguments: Any) -> Outcome:
        environment = {"SECRET": secret} if secret else {}
        return client.call(run, project, environment, arguments, token=token)

    return deploy


@pytest.fixture(scope="session")
def page(running_hub: Hub, client: Client) -> Iterator[tuple[Space, Outcome]]:
    """This project's own page, deployed for real; and what the command said."""
    running_hub.reset()
    running_hub.new_space["next_stages"] = None
    outcome = client.call(run, REPOSITORY, {}, {"timeout": 300, "poll": 0.5}, token=WRITER)
    space = running_hub.spaces["me/sep-emotion-classifier"]
    yield space, outcome
    space.close()


@pytest.fixture
def name(hub: Hub, page: tuple[Space, Outcome], repository: str, project: Path) -> str:
    """Give the small project a name of its own; its page is the one that runs."""
    hub.new_space["host"] = page[0].host
    (project / "space.yaml").write_text(SPACE.replace("me/page", repository), "utf-8")
    return repository


def edit(project: Path, old: str, new: str) -> None:
    path = project / "space.yaml"
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def changes(hub: Hub) -> list[str]:
    """List the requests that may have changed something."""
    return [
        f"{asked.method} {asked.path}"
        for asked in hub.requests
        if asked.method not in ("GET", "HEAD") and "/api/spaces" in asked.path
    ]


def files(hub: Hub, name: str) -> dict[str, bytes]:
    commit = hub.repositories["spaces", name].resolve("main")
    return {
        path: hub.store.path(file.sha256).read_bytes()
        for path, file in commit.files.items()
        if path != ".gitattributes"
    }


def check_sentence(outcome: Outcome, says: str) -> None:
    assert outcome.code == 2
    assert says in outcome.error
    assert outcome.error.endswith(".")
    for noise in ("\n", "Traceback", "hf_w", "hf_r", "hf_s", SECRET):
        assert noise not in outcome.error


# The project's own page, run from nothing but what was staged


def test_the_deployed_page_answers_and_the_command_says_so(page):
    space, outcome = page

    assert (outcome.code, outcome.error) == (0, ""), space.log
    assert "Created me/sep-emotion-classifier." in outcome.out
    assert "It answers: a drawn smile shows" in outcome.out
    assert f"It runs on {space.host}" in outcome.out
    assert space.variables == {
        "OMP_NUM_THREADS": "2",
        "FORWARDED_ALLOW_IPS": "127.0.0.1,10.0.0.0/8",
    }


def test_the_deployed_page_classifies_a_portrait(page, astronaut, tmp_path):
    Image.fromarray(astronaut).save(tmp_path / "portrait.png")

    client = PageClient(page[0].host, verbose=False)
    (face,) = client.predict(handle_file(tmp_path / "portrait.png"), api_name="/classify")

    assert face["label"] == "happiness"


def test_the_files_come_in_one_commit(page):
    commits = page[0].repository.commits.values()

    assert [commit.title for commit in commits] == [
        "initial commit",
        "Deploy with python -m train space",
    ]


def test_a_second_run_changes_nothing(hub, client, page):
    outcome = client.call(run, REPOSITORY, {}, {}, token=WRITER)

    assert outcome.code == 0
    assert "me/sep-emotion-classifier is up to date." in outcome.out
    assert changes(hub) == []


# What a deployment changes


def test_the_space_gets_its_hardware_settings_and_files(hub, deploy, name, project):
    edit(project, "variables:", "secrets: [SECRET]\nvariables:")

    outcome = deploy(secret=SECRET)

    space = hub.spaces[name]
    assert outcome.code == 0
    assert (space.hardware, space.repository.private) == ("cpu-basic", False)
    assert (space.variables, space.secrets) == ({"SPEED": "2"}, {"SECRET": SECRET})
    assert files(hub, name)["space.yaml"] == (project / "space.yaml").read_bytes()
    assert set(files(hub, name)) >= {"README.md", "app.py", "requirements.txt", "emotion/labels.py"}
    assert SECRET not in outcome.out + "".join(map(str, files(hub, name).values()))


def test_only_what_differs_is_changed(hub, deploy, name, project):
    (project / "emotion" / "old.py").write_text("")
    deploy()
    (project / "emotion" / "old.py").unlink()
    (project / "app.py").write_text("# starts the page better\n")
    edit(project, 'SPEED: "2"', 'ROUTE: "long"')
    edit(project, "cpu-basic", "cpu-upgrade")
    edit(project, "public", "private")
    commits = len(hub.repositories["spaces", name].commits)

    outcome = deploy()

    space = hub.spaces[name]
    assert outcome.code == 0
    assert space.variables == {"ROUTE": "long"}
    assert (space.hardware, space.repository.private) == ("cpu-upgrade", True)
    assert "emotion/old.py" not in files(hub, name)
    assert files(hub, name)["app.py"] == b"# starts the page better\n"
    assert len(space.repository.commits) == commits + 1
    # app.py, README.md (its hardware) and space.yaml, but not the other files
    assert "Uploaded 3 and deleted 1 files" in outcome.out


def test_a_secret_is_sent_once_unless_it_is_to_be_renewed(hub, deploy, name, project):
    edit(project, "variables:", "secrets: [SECRET]\nvariables:")
    deploy(secret="first")

    assert deploy().code == 0
    assert deploy(secret="second").code == 0
    kept = hub.spaces[name].secrets["SECRET"]
    assert deploy(secret="second", renew_secrets=True).code == 0

    assert (kept, hub.spaces[name].secrets["SECRET"]) == ("first", "second")


def test_the_token_that_deploys_is_not_given_to_the_space(hub, client, deploy, name, project):
    edit(project, "variables:", "secrets: [HF_TOKEN]\nvariables:")

    check_sentence(deploy(), "set the variable SPACE_HF_TOKEN")
    outcome = client.call(run, project, {"SPACE_HF_TOKEN": READER}, {}, token=WRITER)

    assert outcome.code == 0
    assert hub.spaces[name].secrets == {"HF_TOKEN": READER}


def test_a_dry_run_shows_the_tree_and_the_differences_and_changes_nothing(
    hub, deploy, name, project
):
    first = deploy(dry_run=True)
    assert changes(hub) == []
    deploy()
    (project / "app.py").write_text("# starts the page better\n")
    edit(project, 'SPEED: "2"', 'SPEED: "3"')
    hub.reset()

    second = deploy(dry_run=True)

    assert changes(hub) == []
    assert "new public Space on cpu-basic" in first.out
    assert "  + emotion/labels.py" in first.out
    assert "         25  app.py" in second.out
    assert second.out.split("Differences from ")[1].splitlines() == [
        f"{name}:",
        "  ~ app.py",
        "  ~ space.yaml",
        "  variable SPEED: '2' -> '3'",
    ]


def test_a_visitor_may_look_at_the_differences_of_a_public_space(deploy, name):
    deploy()

    outcome = deploy(token="", dry_run=True)

    assert outcome.code == 0
    assert outcome.out.split(f"{name} is up to date.\n")[1].splitlines() == [
        "  variables and secrets: only a token with write access may read them"
    ]


def test_a_name_without_owner_belongs_to_the_account_of_the_token(hub, deploy, name, project):
    edit(project, name, name.split("/")[1])

    assert deploy().code == 0
    assert name in hub.spaces


def test_a_public_model_is_fetched_while_the_space_is_built(hub, client, deploy, name, project):
    commit = push_model(client, f"{name}-weights", private=False)
    edit(project, "files:", f"model: hf://{name}-weights@{commit}\nfiles:")

    outcome = deploy()

    # The page that answers for all small projects runs the embedded weights.
    check_sentence(outcome, f"runs the weights embedded, not hf://{name}-weights@{commit}")
    readme = files(hub, name)["README.md"].decode()
    assert f"- {name}-weights config.json,model.safetensors {commit}" in readme


# What cannot be deployed


def test_a_missing_secret_is_told_before_anything_is_made(hub, deploy, name, project):
    edit(project, "variables:", "secrets: [SECRET]\nvariables:")

    check_sentence(deploy(), "The secret SECRET is neither in the Space nor in the environment")
    assert name not in hub.spaces


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "there is no token"),
        ("hf_wrong", "the token is not valid"),
        (READER, "the token may not write there"),
        (STRANGER, "the token may not write there"),
    ],
)
def test_a_token_that_will_not_do_is_told(hub, deploy, name, token, says):
    check_sentence(deploy(token=token), says)
    assert name not in hub.spaces


def test_a_token_that_may_only_read_a_space_changes_nothing(hub, deploy, name):
    deploy()
    hub.reset()

    check_sentence(deploy(token=READER), f"Your token may not change {name}")
    assert changes(hub) == []


def test_a_space_that_the_command_did_not_make_is_left_alone(hub, client, deploy, name):
    about = {"repo_id": name, "repo_type": "space"}
    client.api("create_repo", token=WRITER, **about, space_sdk="gradio")
    client.api("upload_file", token=WRITER, **about, path_or_fileobj=b"1", path_in_repo="mine.py")
    hub.reset()

    check_sentence(deploy(), "was not made by this command")
    assert changes(hub) == []


def test_a_space_of_somebody_elses_private_name_is_told(client, deploy, name, project):
    edit(project, name, f"other/{name.split('/')[1]}")

    check_sentence(deploy(), "the token may not write there")


def test_a_model_that_is_not_there_is_told(deploy, name, project):
    edit(project, "files:", f"model: hf://me/nothing@{'a' * 40}\nfiles:")

    check_sentence(deploy(), "could not be looked up: there is no such repository")


def test_a_private_model_needs_a_token_in_the_space(hub, client, deploy, name, project):
    commit = push_model(client, f"{name}-weights", private=True)
    edit(project, "files:", f"model: hf://{name}-weights@{commit}\nfiles:")

    check_sentence(deploy(), "is private; add HF_TOKEN to the secrets")
    assert name not in hub.spaces


def test_a_hub_that_is_down_is_told(start_client, project):
    stranded = start_client(HF_ENDPOINT="http://127.0.0.1:9")

    outcome = stranded.call(run, project, {}, {}, token=WRITER)

    check_sentence(outcome, "the Hub cannot be reached")


@pytest.mark.parametrize(
    ("pattern", "fault", "says"),
    [
        (COMMIT, {"status": 412}, "somebody else changes it at the same time"),
        (COMMIT, {"status": 500, "times": None}, "the Hub answers with status 500"),
        (COMMIT, {"status": 400}, "the Hub refuses it"),
        (COMMIT, {"after": 10, "end": "reset"}, "the Hub cannot be reached"),
        ("POST /api/repos/create", {"status": 402}, "plan does not include this hardware"),
        ("POST .*/variables", {"status": 429}, "too many requests"),
        ("GET /api/whoami", {"seconds": 15}, "the Hub did not answer in time"),
        ("GET .*/runtime", {"status": 403}, "the token may not write there"),
    ],
)
def test_what_a_fault_has_left_undone_a_second_run_finishes(
    hub, deploy, name, page, pattern, fault, says
):
    hub.fail(pattern, **fault)
    check_sentence(deploy(), says)
    hub.reset()
    hub.new_space["host"] = page[0].host

    assert deploy().code == 0
    assert "space.yaml" in files(hub, name)
    assert hub.spaces[name].variables == {"SPEED": "2"}


def test_passing_faults_while_waiting_do_not_matter(hub, deploy, name):
    hub.fail("GET .*/runtime")  # the first look, before anything is uploaded, is answered
    hub.fail("GET .*/runtime", status=503, times=2)

    outcome = deploy()

    assert outcome.code == 0


@pytest.mark.parametrize(
    ("stage", "which", "says"),
    [
        ("BUILD_ERROR", "build", "could not be built (injected BUILD_ERROR); its log:"),
        ("RUNTIME_ERROR", "run", "stopped while it started"),
        ("CONFIG_ERROR", "run", "has a README that the platform does not accept"),
    ],
)
def test_a_failed_start_ends_with_the_end_of_the_log(
    hub, deploy, name, project, stage, which, says
):
    edit(project, "variables:", "secrets: [SECRET]\nvariables:")
    log = "".join(f"line {number}\n" for number in range(50)) + f"token={SECRET}\n"
    hub.new_space.update(next_stages=("BUILDING", stage), log=log)

    outcome = deploy(secret=SECRET)

    assert outcome.code == 2
    assert says in outcome.error.splitlines()[0]
    assert outcome.error.splitlines()[1:] == [f"line {n}" for n in range(31, 50)] + ["token=***"]
    assert f"logs/{which}" in hub.requests[-1].path
    hub.spaces[name].next_stages = ("BUILDING", "RUNNING")
    again = deploy()
    assert again.code == 0
    assert f"Restarted {name}, which was {stage}." in again.out
    assert hub.spaces[name].restarts == 1


def test_a_sleeping_space_is_woken(hub, deploy, name):
    deploy()
    hub.spaces[name].stages = ["SLEEPING"]

    outcome = deploy()

    assert outcome.code == 0
    assert hub.spaces[name].restarts == 1


def test_a_space_that_does_not_come_up_is_not_waited_for_for_ever(hub, deploy, name):
    hub.new_space["next_stages"] = ("BUILDING",)

    outcome = deploy(timeout=0.3)

    check_sentence(outcome, "is still BUILDING after 0 seconds")


def test_a_page_that_cannot_be_reached_is_told(hub, deploy, name):
    hub.new_space["host"] = "http://127.0.0.1:9"

    outcome = deploy()

    assert outcome.code == 2
    assert "cannot be reached" in outcome.error


def push_model(client: Client, name: str, *, private: bool) -> str:
    client.api("create_repo", token=WRITER, repo_id=name, private=private)
    about = {"repo_id": name, "token": WRITER}
    client.api("upload_file", **about, path_or_fileobj=b"{}", path_in_repo="config.json")
    return client.api(
        "upload_file", **about, path_or_fileobj=b"00000000", path_in_repo="model.safetensors"
    )
