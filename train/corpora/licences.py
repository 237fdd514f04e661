"""What the owners of the corpora allow, for model cards and for who may see prepared faces."""

from __future__ import annotations

from dataclasses import dataclass

from emotion.evaluation import TITLES


@dataclass(frozen=True)
class Licence:
    """The terms of one corpus.

    Attributes:
        title: its name in sentences.
        terms: what it may be used for.
        origin: who made it; with the paper.
        redistributable: whether its pictures, or crops of them, may be published by others.
    """

    title: str
    terms: str
    origin: str
    redistributable: bool


LICENCES: dict[str, Licence] = {
    "fer2013": Licence(
        TITLES["fer2013"],
        "research use; the pictures were found by web search and remain their owners'",
        "Goodfellow et al., Challenges in Representation Learning, ICONIP 2013",
        redistributable=False,
    ),
    "raf-db": Licence(
        TITLES["raf-db"],
        "non-commercial research, on request; its terms forbid passing pictures on",
        "Li, Deng and Du, Reliable Crowdsourcing and Deep Locality-Preserving Learning, CVPR 2017",
        redistributable=False,
    ),
    "affectnet": Licence(
        TITLES["affectnet"],
        "non-commercial research, on request; its terms forbid passing pictures on",
        "Mollahosseini, Hasani and Mahoor, AffectNet, IEEE Transactions on Affective Computing "
        "2019",
        redistributable=False,
    ),
    "synthetic": Licence(
        "Drawn faces",
        "MIT",
        "drawn by this project, showing nobody",
        redistributable=True,
    ),
}
"""Published corpus -> its terms."""


def licence_of(corpus: str) -> Licence:
    """Return the terms of a corpus; of pictures that somebody brought nothing is known."""
    unknown = Licence(
        corpus,
        "not known to this project; ask whoever brought the pictures",
        "pictures that whoever trained brought",
        redistributable=False,
    )
    return LICENCES.get(corpus, unknown)
