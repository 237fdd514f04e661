"""Looking at one picture for the command line, in this process or in one of several workers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emotion.errors import ImageError
from emotion.labels import LABELS
from emotion.page import DEPLOYMENT

if TYPE_CHECKING:
    from emotion.analyzer import Analyzer
    from emotion.cover import CoverTest
    from emotion.result import FaceResult

Source = str | bytes


@dataclass(frozen=True)
class Options:
    """How pictures are looked at, and what is wanted of them; it travels to the workers.

    Attributes:
        weights: SPEC, see ``emotion.weights.load``; None takes the default.
        convention: corpus whose way of labelling answers; None leaves it to the weights.
        detect: whether faces are looked for; otherwise each picture is one face.
        all_faces: every face, not the largest alone.
        min_score: lowest accepted confidence of the detector, 0..1.
        columns: of the CSV file, besides the probabilities, see ``emotion.table.COLUMNS``.
        rows: whether rows of a CSV file are wanted.
        entry: whether everything is wanted as JSON, with what the cover test found.
        lines: whether lines for people are wanted.
    """

    weights: str | None
    convention: str | None = None
    detect: bool = True
    all_faces: bool = False
    min_score: float = 0.5
    columns: tuple[str, ...] = ()
    rows: bool = False
    entry: bool = False
    lines: bool = False


@dataclass(frozen=True)
class Looked:
    """What came of one picture: what was wanted, ready to be written.

    Attributes:
        faces: how many there are, at most 1 unless all are wanted.
        error: why it could not be read, or None.
        rows: cells of a CSV file behind the name, a row per face.
        entry: JSON values.
        lines: for people; without the name.
    """

    faces: int = 0
    error: str | None = None
    rows: list[list[str]] = field(default_factory=list)
    entry: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


class Looker:
    """Looks at pictures with one analyzer, which is loaded when it is made.

    Raises:
        WeightsError: if the weights cannot be used.
        ConfigError: if the weights do not know the convention.
    """

    def __init__(self, options: Options) -> None:
        # torch takes a second to import, which --help need not wait for.
        from emotion.analyzer import Analyzer
        from emotion.weights import default_spec

        self.options = options
        spec = default_spec(DEPLOYMENT) if options.weights is None else options.weights
        self._analyzer: Analyzer = Analyzer.from_weights(spec, convention=options.convention)

    @property
    def notice(self) -> str | None:
        """A sentence for the user if others than the asked weights run."""
        notice: str | None = self._analyzer.description["notice"]
        return notice

    @property
    def how(self) -> dict[str, Any]:
        """By what the numbers are made, as JSON values: equal ones may stand in one table."""
        source, options = self._analyzer.source, self.options
        assert source is not None
        return {
            "weights": source.digest,
            "config": repr(self._analyzer.network.config),
            "detect": options.detect,
            "all_faces": options.all_faces,
            "min_score": options.min_score,
        }

    def look(self, source: Source) -> Looked:
        """Look at a picture, the path or the content of a file; never fails because of it."""
        from emotion.images import decode_image

        options = self.options
        try:
            faces = self._analyzer.analyze(
                decode_image(source),
                detect=options.detect,
                max_faces=None if options.all_faces else 1,
                min_score=options.min_score,
            )
            tests = self._analyzer.explain_all(faces) if options.entry else []
        except ImageError as error:
            return self._failed(str(error))
        except MemoryError:
            return self._failed("it does not fit into memory; reduce it and try again.")
        return Looked(
            len(faces),
            rows=[self._row(number, face) for number, face in enumerate(faces, 1)]
            if options.rows
            else [],
            entry=_entry(faces, tests) if options.entry else {},
            lines=[_line(face) for face in faces] if options.lines else [],
        )

    def _failed(self, error: str) -> Looked:
        entry = {"error": error, "faces": []} if self.options.entry else {}
        return Looked(error=error, entry=entry)

    def _row(self, number: int, face: FaceResult) -> list[str]:
        from emotion.table import csv_cells, csv_probabilities

        own = [str(number), *csv_cells(face, ["box"])] if self.options.all_faces else []
        return [*csv_probabilities(face), *own, *csv_cells(face, self.options.columns)]


def header(options: Options) -> list[str]:
    """Return the names of a CSV file's columns."""
    from emotion.table import BOX, COLUMNS

    own = ["face", *BOX] if options.all_faces else []
    further = [name for column in options.columns for name in COLUMNS[column]]
    return ["filepath", *LABELS, *own, *further]


def start_worker() -> None:
    """Prepare a worker: one thread, and an end with the process that started it."""
    import multiprocessing
    import threading

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)  # it was killed, and nobody takes the answers any more

    threading.Thread(target=end_with_parent, daemon=True).start()


_looker: Looker | None = None


def load_in_worker(options: Options) -> tuple[str | None, dict[str, Any]]:
    """Load this worker's analyzer; return ``Looker.notice`` and ``Looker.how``."""
    global _looker
    if _looker is None:
        _looker = Looker(options)
    return _looker.notice, _looker.how


def look_in_worker(options: Options, source: Source) -> Looked:
    """Look at a picture in this worker, see ``Looker.look``."""
    load_in_worker(options)
    assert _looker is not None
    return _looker.look(source)


def _line(face: FaceResult) -> str:
    order = face.probabilities.argsort()[::-1]
    answer = ", ".join(f"{LABELS[i]} {face.probabilities[i]:.2f}" for i in order)
    told = f"{face.answer} ({face.reason})" if face.reason else face.answer
    return answer if told == face.label else f"{told}: {answer}"


def _entry(faces: list[FaceResult], tests: list[CoverTest | None]) -> dict[str, Any]:
    return {
        "error": None,
        "faces": [
            {**face.to_dict(), "why": None if test is None else _why(test)}
            for face, test in zip(faces, tests, strict=True)
        ],
    }


def _why(test: CoverTest) -> dict[str, Any]:
    """Say what decides about the strongest class, and its probability without each part."""
    from emotion.cover import PARTS
    from emotion.result import rounded

    found = test.finding()
    covered = test.covered[:, LABELS.index(found.label)]
    return {
        "sentence": str(found),
        "decisive": found.part,
        "turns_into": found.other,
        "covered": {part: rounded(value) for part, value in zip(PARTS, covered, strict=True)},
    }
