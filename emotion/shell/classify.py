"""``python -m emotion classify``: pictures in, a line, a row or a JSON object for each out."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from emotion.errors import ConfigError
from emotion.shell.growing import check_targets
from emotion.shell.look import Looked, Options, Source, header
from emotion.shell.pool import Pool, make_pool
from emotion.shell.resume import CsvTable, JsonTable, Progress
from emotion.shell.sources import STDIN, list_sources

Tables = list[CsvTable | JsonTable]


def run(arguments: argparse.Namespace) -> int:
    """Classify pictures and write what is asked for.

    Returns:
        Exit code: 0 if at least one picture was read, 2 if none could be, 130 after Ctrl-C.

    Raises:
        EmotionError: if it cannot begin or go on; what is finished stays in ``F.partial``.
    """
    check_targets(arguments.csv, arguments.json)
    options = Options(
        weights=arguments.weights,
        convention=arguments.convention,
        detect=not arguments.no_detect,
        all_faces=arguments.all_faces,
        min_score=arguments.min_score,
        columns=arguments.columns,
        rows=arguments.csv is not None,
        entry=arguments.json is not None,
        lines=arguments.csv is None and arguments.json is None,
    )
    tables: Tables = []
    if options.rows:
        tables.append(CsvTable(arguments.csv, header(options)))
    elif options.columns:
        raise ConfigError("--columns are those of a CSV file; name it with --csv F.")
    if options.entry:
        tables.append(JsonTable(arguments.json))
    if arguments.resume and not any(table.file.partial for table in tables):
        raise ConfigError("--resume goes on with a file; name it with --csv F or --json F.")
    sources = list_sources(arguments.paths, _say)
    try:
        with make_pool(options, arguments.workers) as pool:
            return _work(pool, sources, tables, resume=arguments.resume)
    except KeyboardInterrupt:
        _say("Stopped.")
        return 130


def _work(pool: Pool, sources: list[str], tables: Tables, *, resume: bool) -> int:
    if pool.notice:
        _say(pool.notice)
    progress = Progress(tables, pool.how, resume=resume)
    done = set(progress.done)
    left = [source for source in sources if source not in done]
    if done:
        _say(f"{len(sources) - len(left)} of {len(sources)} pictures are finished already.")
    unread, finished = 0, False
    try:
        bar = tqdm(
            pool.look(map(_open, left)),
            "pictures",
            len(sources),
            initial=len(sources) - len(left),
            disable=None if len(sources) > 1 else True,
            leave=False,
        )
        for name, looked in zip(left, bar, strict=True):
            unread += looked.error is not None
            _tell(name, looked)
            for table in tables:
                if isinstance(table, CsvTable):
                    table.add(name, looked.rows)
                else:
                    table.add(name, looked.entry)
            progress.add(name)
        for table in tables:
            table.finish()
        finished = True
    finally:
        kept = progress.end(finished=finished)
        if kept is not None:
            _say(
                f"{len(progress.done)} of {len(sources)} pictures are finished and stand in "
                f"{kept}; repeat the command with --resume to go on."
            )
        elif not finished and tables:
            _say("No file was written.")
    if unread:
        _say(f"{unread} of {len(left)} files could not be read.")
    return 0 if unread < len(left) or done else 2


def _open(source: str) -> Source:
    return sys.stdin.buffer.read() if source == STDIN else source


def _tell(name: str, looked: Looked) -> None:
    if looked.error is not None:
        _say(f"{name}: {looked.error}")
    elif not looked.faces:
        hint = "try --no-detect if the picture is a crop of a face"
        _say(f"{name}: no face was found; {hint}.")
    for number, line in enumerate(looked.lines, 1):
        face = "" if len(looked.lines) == 1 else f" face {number}"
        tqdm.write(f"{name}{face}: {line}", file=sys.stdout)


def _say(sentence: str) -> None:
    tqdm.write(sentence, file=sys.stderr)  # above the bar
