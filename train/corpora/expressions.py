"""What people call the expressions: the words that are understood, and those that are guessed."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping

from emotion.labels import CORPUS_LABELS, LABELS, OTHER_LABELS

WORDS: dict[str, str] = {
    **{
        word: expression
        for table in CORPUS_LABELS.values()
        for word, expression in table.items()
        if not word.isdecimal()
    },
    **{name: name for name in (*LABELS, *OTHER_LABELS)},
    **dict.fromkeys(("joy", "joyful", "smile", "smiling"), "happiness"),
    **dict.fromkeys(("surprised", "surprising", "astonished"), "surprise"),
    **dict.fromkeys(("unhappy", "sorrow"), "sadness"),
    **dict.fromkeys(("disgusted", "disgusting"), "disgust"),
    **dict.fromkeys(("fearful", "afraid", "scared"), "fear"),
    **dict.fromkeys(("calm", "neutrality"), "neutral"),
    **dict.fromkeys(("contemptuous",), "contempt"),
}
"""Word, in lower case -> canonical name of the expression."""

# Only ever suggested: a word may mean something else to whoever chose it.
_ELSEWHERE: dict[str, str] = {
    word: expression
    for expression, words in {
        "happiness": "freude glück glücklich fröhlich lachen joie heureux heureuse content feliz "
        "felicidad alegría alegria gioia felice felicità felicidade blij",
        "surprise": "überraschung überrascht étonnement surpris surprise sorpresa sorprendido "
        "sorpreso surpresa surpreso verrast",
        "sadness": "trauer traurig traurigkeit tristesse triste tristeza tristezza verdrietig",
        "anger": "wut wütend ärger zorn colère fâché enfado enojo ira rabbia arrabbiato raiva boos",
        "disgust": "ekel angeekelt dégoût dégoûté asco disgusto nojo walging",
        "fear": "angst ängstlich furcht peur effrayé miedo asustado paura medo bang",
        "neutral": "neutre neutro neutrale neutraal ruhig calme calmo",
        "contempt": "verachtung mépris desprecio disprezzo desprezo minachting",
    }.items()
    for word in words.split()
}


def plain(word: str) -> str:
    """Return a word as words are compared: in lower case, its accents composed.

    Archives made on a Mac keep accents apart from their letters.
    """
    return unicodedata.normalize("NFC", word.strip()).casefold()


def understand(word: str, names: Mapping[str, str] | None = None) -> str | None:
    """Return the canonical name of an expression, whatever its case; None if it is no known word.

    Args:
        word: as people write it; ``1_angry`` and ``angry-faces`` count as angry.
        names: words that a user explained, in lower case; they come first.
    """
    own = plain(word)
    if names and own in names:
        return names[own]
    if own in WORDS:
        return WORDS[own]
    stem = re.sub(r"^\d+[ _.-]+|[ _-](faces?|images?|pictures?)$", "", own)
    return WORDS.get(stem)


def are_explained(names: Mapping[str, str]) -> bool:
    """Tell whether a user's map explains numbers; then those that it leaves out mean nothing."""
    return any(map(str.isdecimal, names))


def suggest(word: str) -> str | None:
    """Guess the expression that a word in another language or with a slip of the pen may mean."""
    own = plain(word)
    known = {**_ELSEWHERE, **WORDS}
    close = difflib.get_close_matches(own, known, n=1, cutoff=0.75)
    return known[close[0]] if close else None
