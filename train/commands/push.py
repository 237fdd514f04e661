"""``python -m train push``: a run to a model repository on the Hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arguments:
    """Push the weights of a run to a model repository on the Hub, with all its numbers.

    The card, the results and the weights are one commit with a tag, which is pulled back and
    compared. Pictures are never pushed. Repeating the command changes nothing.

    Example: python -m train push --run runs/mine --repo me/expressions --private
    """

    run: str
    """Folder of a run, or embedded."""
    repo: str
    """USER/NAME; made if it is not there."""
    private: bool = False
    """Only the owner may see a repository that is made; one that is public already is refused."""


def run(arguments: Arguments) -> int:
    """Push, and say how to use it."""
    from train.hub.push import push

    pushed = push(arguments.run, arguments.repo, private=arguments.private)
    print(
        f"{pushed.url} holds {', '.join(pushed.files)} in {pushed.tag}, commit {pushed.commit}; "
        "pulled back, it gives the same logits.\n"
        f"Use it with --weights {pushed.spec}, or hf://{pushed.repository} for what is newest there"
    )
    return 0
