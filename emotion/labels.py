"""The six classes: their order, their colours, and what each corpus calls them."""

from __future__ import annotations

LABELS: tuple[str, ...] = ("happiness", "surprise", "sadness", "anger", "disgust", "fear")
"""Class names in index order; every array of six values in the project follows it."""

OTHER_LABELS: tuple[str, ...] = ("neutral", "contempt")
"""Expressions that corpora carry and that are no class of the networks that are served."""

SEVEN_LABELS: tuple[str, ...] = (*LABELS, "neutral")
"""The classes of most published results; drawn faces have them, too."""

NOT_SURE = "not sure"
"""Answer where no probability reaches the threshold."""

CALM = "no clear expression"
"""Answer for a calm face, which shows none of the six."""

COLORS: dict[str, str] = {
    "happiness": "#E69F00",
    "surprise": "#CC79A7",
    "sadness": "#0072B2",
    "anger": "#D55E00",
    "disgust": "#009E73",
    "fear": "#56B4E9",
}
"""One colour per class (Okabe and Ito's colour-blind-safe set), as CSS hex."""

UNSURE_COLOR = "#B9B6B0"
"""Colour of an answer that is "not sure"; no class has it."""

CORPUS_LABELS: dict[str, dict[str, str]] = {
    "fer2013": {
        **dict(
            zip(
                ("0", "1", "2", "3", "4", "5", "6"),
                ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
                strict=True,
            )
        ),
        "angry": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "sad": "sadness",
        "surprise": "surprise",
        "neutral": "neutral",
    },
    "raf-db": dict(
        zip(
            ("1", "2", "3", "4", "5", "6", "7"),
            ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
            strict=True,
        )
    ),
    "affectnet": {
        "anger": "anger",
        "contempt": "contempt",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "sad": "sadness",
        "surprise": "surprise",
    },
    "synthetic": {name: name for name in SEVEN_LABELS},
}
"""Corpus -> that corpus's own class name (lower case) or numeric id -> canonical name."""
