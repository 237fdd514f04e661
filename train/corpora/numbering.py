"""Class numbers are believed only where the classes are as frequent as published.

Mirrors number the classes of FER-2013 and RAF-DB in several ways, and a wrong one is a corpus whose
every label is wrong, without any other sign.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from emotion.errors import DataError
from emotion.labels import CORPUS_LABELS, LABELS
from train.corpora.expressions import are_explained
from train.corpora.published import PUBLISHED

TOLERANCE = 0.01
"""Share by which the pictures of a class may differ from the published number."""

_SIGMAS = 4.0  # a part of a corpus may differ by what chance does
_WHOLE = 0.98  # from this share of the published pictures on it is no part but the whole
_LEAD = 5.0  # log-likelihood by which the official order must beat every other one

_ALPHABETICAL = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")


def _official(corpus: str) -> dict[str, str]:
    """Return class number -> canonical name, as the corpus was published."""
    return {number: name for number, name in CORPUS_LABELS[corpus].items() if number.isdecimal()}


_ORDERS = {
    f"{name}, counted from {first}": {str(n + first): c for n, c in enumerate(classes)}
    for first in (0, 1)
    for name, classes in {
        "the order of FER-2013": _official("fer2013").values(),
        "the order of RAF-DB": _official("raf-db").values(),
        "alphabetical order": _ALPHABETICAL,
        "the order of FER+": _FERPLUS,
        "the order of AffectNet": _AFFECTNET,
        "the order of this project": (*LABELS, "neutral"),
    }.items()
}


Counts = Mapping[str, Mapping[str, int]]
"""Split -> class word or number -> pictures."""


def check_numbers(
    corpus: str, counts: Counts, where: str, explained: Mapping[str, str] | None = None
) -> None:
    """Check that numbers mean what they mean in the published corpus.

    Args:
        corpus: ``fer2013`` or ``raf-db``.
        counts: of the pictures of each class; those that are told by a word do not matter.
        where: the archive, for the message.
        explained: words and numbers of the user's map; with a number in it nothing is checked.

    Raises:
        DataError: if the numbers occur otherwise than published, or too rarely to tell.
    """
    if explained and are_explained(explained):
        return
    counts = {
        split: {word: count for word, count in words.items() if word.isdecimal()}
        for split, words in counts.items()
    }
    official = _official(corpus)
    found: Counter[str] = Counter()
    for split in counts.values():
        found.update(split)
    found = Counter({number: count for number, count in found.items() if count})
    if not found or _is_believed(corpus, counts, found, official):
        return
    fitting = [
        name for name, order in _ORDERS.items() if _is_believed(corpus, counts, found, order)
    ]
    meant = _ORDERS[fitting[0]] if fitting else official
    seen = ", ".join(f"{number}: {found[number]:,}" for number in sorted(found, key=int))
    names = "".join(
        f",{number}={meant.get(number, 'EXPRESSION')}" for number in sorted(found, key=int)
    )
    told = f"; they fit {fitting[0]}: {names}" if fitting else f"; as published it would be {names}"
    raise DataError(
        f"{where} tells classes by numbers, and these do not occur as often as in {corpus} "
        f"({seen}). Say behind the path which is which{told}."
    )


def _is_believed(
    corpus: str, counts: Counts, found: Mapping[str, int], order: Mapping[str, str]
) -> bool:
    """Tell whether counts fit an order, and no other one as well.

    A few pictures under numbers that the order does not know do not matter: they are left out.
    """
    strays = sum(count for number, count in found.items() if number not in order)
    if strays > TOLERANCE * sum(found.values()):
        return False
    found = {number: count for number, count in found.items() if number in order}
    counts = {
        split: {number: count for number, count in numbers.items() if number in order}
        for split, numbers in counts.items()
    }
    own = _log_likelihood(corpus, counts, order)
    if own == -math.inf or not _fits(corpus, counts, found, order):
        return False
    others = [
        _log_likelihood(corpus, counts, other)
        for other in _ORDERS.values()
        if any(other.get(number) != order.get(number) for number in found)
    ]
    return own - max(others) >= _LEAD


def _fits(corpus: str, counts: Counts, found: Mapping[str, int], order: Mapping[str, str]) -> bool:
    expected: Counter[str] = Counter()
    published = 0
    for split, numbers in counts.items():
        shares = _shares(corpus, split, numbers, order)
        total = sum(numbers.values())
        published += sum(PUBLISHED.get(corpus, {}).get(split, {}).values())
        for number, share in shares.items():
            expected[number] += share * total  # type: ignore[assignment]
    chance = 0.0 if sum(found.values()) >= _WHOLE * published else _SIGMAS
    return all(
        abs(found[number] - expected[number])
        <= max(1.0, TOLERANCE * expected[number] + chance * math.sqrt(expected[number]))
        for number in found
    )


def _log_likelihood(corpus: str, counts: Counts, order: Mapping[str, str]) -> float:
    """Return how likely the counts are if ``order`` is right, up to what all orders share."""
    total = 0.0
    for split, numbers in counts.items():
        shares = _shares(corpus, split, numbers, order)
        for number, count in numbers.items():
            if count:
                share = shares.get(number, 0.0)
                total += count * math.log(share) if share else -math.inf
    return total


def _shares(
    corpus: str, split: str, numbers: Mapping[str, int], order: Mapping[str, str]
) -> dict[str, float]:
    """Return how frequent the classes are in the published split, among those that are here."""
    published = PUBLISHED[corpus].get(split, {})
    counts = {number: published.get(order.get(number, ""), 0) for number in numbers}
    total = sum(counts.values())
    return {number: count / total for number, count in counts.items()} if total else {}
