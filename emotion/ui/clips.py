"""Clips of visitors: sent in pieces, analysed, and gone when nobody asks for them any more."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emotion.errors import EmotionError
from emotion.ui.clients import Client
from emotion.ui.clip_work import Work

if TYPE_CHECKING:
    from emotion.ui.gate import Gate
    from emotion.ui.serving import Serves
    from emotion.ui.wire import JSON

MAX_CLIP = 100 * 1024 * 1024
"""Largest clip in bytes."""

MAX_PIECE = 8 * 1024 * 1024
"""Largest piece of one, well below ``refusals.MAX_BODY``."""

LIFETIME = 120.0
"""Seconds after which a clip is deleted whose visitor does not ask any more; a browser lets a tab
in the background ask once a minute."""

SEEN = 15.0
"""Seconds within which a visitor's other tab counts as open."""

LONGEST_UPLOAD = 1200.0
"""Seconds within which a clip must have come, however often its visitor asks."""

PER_ADDRESS, ALTOGETHER = 2, 4
"""Most clips of one address, and of all, that are sent or analysed at a time."""

MOST_DONE = 8
"""Most finished clips whose copies are kept; the oldest one goes when there are more."""

COPY = "copy.mp4"
_SOURCE = "upload"
_FOLDER = "clips"


class ClipError(EmotionError):
    """A clip that is not taken.

    Attributes:
        key: of strings.json.
        status: of the answer.
    """

    def __init__(self, key: str, status: int, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.status = status


@dataclass(eq=False)
class _Clip:
    client: Client
    size: int
    folder: Path
    began: float
    seen: float
    received: int = 0
    work: Work | None = None
    gone: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def under_way(self) -> bool:
        return self.work is None or self.work.state in ("waiting", "working")


class Clips:
    """All clips; safe to share by threads."""

    def __init__(
        self,
        serving: Serves,
        gate: Gate,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep clips below ``folder``, which must be private and go with the server."""
        self._serving, self._gate, self._clock = serving, gate, clock
        self._folder = folder / _FOLDER
        self._clips: dict[str, _Clip] = {}
        self._lock = threading.Lock()

    def begin(self, client: Client, size: int) -> str:
        """Make room for a clip, and return the name under which its pieces are sent.

        Raises:
            ClipError: if it is too large, or there are too many.
        """
        if not 0 < size <= MAX_CLIP:
            most = MAX_CLIP // 1024**2
            raise ClipError(
                "video_too_large", 413, f"The video is larger than {most} MB; cut it and try again."
            )
        with self._lock:
            self._make_room(client)
            name = secrets.token_urlsafe(24)
            folder = self._folder / name
            try:
                folder.mkdir(mode=0o700, parents=True)
                (folder / _SOURCE).touch()
            except OSError:
                raise _full() from None
            now = self._clock()
            self._clips[name] = clip = _Clip(client, size, folder, now, now)
        threading.Thread(target=self._watch, args=(name, clip), daemon=True).start()
        return name

    def _make_room(self, client: Client) -> None:
        now = self._clock()
        own = [name for name, clip in self._clips.items() if clip.client == client]
        for name in own:
            clip = self._clips[name]
            if clip.under_way and now - clip.seen < SEEN:
                raise ClipError(
                    "video_one",
                    409,
                    "One video at a time: another tab is still busy with one.",
                )
            self._remove(name)
        done = [name for name, clip in self._clips.items() if not clip.under_way]
        for name in done[: max(0, len(done) - MOST_DONE + 1)]:
            self._remove(name)
        busy = [clip.client.address for clip in self._clips.values() if clip.under_way]
        if busy.count(client.address) >= PER_ADDRESS or len(busy) >= ALTOGETHER:
            raise ClipError(
                "video_others", 503, "Others' videos are being analysed; try again in a minute."
            )

    def add(self, name: str, at: int, piece: bytes) -> int:
        """Add a piece; with the last one the work begins.

        Args:
            name: of the clip.
            at: number of bytes before it.
            piece: at most ``MAX_PIECE`` bytes.

        Returns:
            How many bytes are here now; a piece that does not follow is not taken.

        Raises:
            ClipError: if there is no such clip, or it is not as large as was said.
        """
        clip = self._get(name)
        with clip.lock:
            if at != clip.received or clip.work is not None:
                return clip.received
            if len(piece) > MAX_PIECE or at + len(piece) > clip.size:
                raise ClipError("video_broken", 422, "The piece is larger than was said.")
            try:
                with (clip.folder / _SOURCE).open("ab") as file:
                    file.write(piece)
            except OSError:
                self.end(name)
                raise _full() from None
            clip.received += len(piece)
            if clip.received == clip.size:
                self._start(clip)
        return clip.received

    def report(self, name: str, after: tuple[int, int] = (0, 0)) -> JSON:
        """Say how far a clip is, see ``Work.report``; who asks keeps it alive.

        Raises:
            ClipError: if there is no such clip.
        """
        clip = self._get(name)
        if clip.work is None:
            return {"state": "sending", "received": clip.received}
        return clip.work.report(after)

    def copy(self, name: str) -> Path:
        """Return the finished copy with boxes.

        Raises:
            ClipError: if there is none.
        """
        path = self._get(name).folder / COPY
        if not path.is_file():
            raise _unknown()
        return path

    def end(self, name: str) -> None:
        """Delete a clip and all that came of it."""
        with self._lock:
            self._remove(name)

    def close(self) -> None:
        """Delete all."""
        with self._lock:
            for name in list(self._clips):
                self._remove(name)

    def __len__(self) -> int:
        return len(self._clips)

    def _get(self, name: str) -> _Clip:
        clip = self._clips.get(name)
        if clip is None:
            raise _unknown()
        clip.seen = self._clock()
        return clip

    def _start(self, clip: _Clip) -> None:
        clip.work = Work(
            clip.folder / _SOURCE,
            clip.folder / COPY,
            self._serving.analyzer,
            self._gate,
            clip.client,
        )
        threading.Thread(target=self._work, args=(clip,), daemon=True).start()

    def _work(self, clip: _Clip) -> None:
        assert clip.work is not None
        clip.work.run()
        if clip.gone.is_set():
            shutil.rmtree(clip.folder, ignore_errors=True)  # what was written meanwhile

    def _watch(self, name: str, clip: _Clip) -> None:
        while not clip.gone.wait(min(5.0, LIFETIME / 8)):
            now = self._clock()
            late = clip.work is None and now - clip.began > LONGEST_UPLOAD
            if late or now - clip.seen > LIFETIME:
                self.end(name)

    def _remove(self, name: str) -> None:
        clip = self._clips.pop(name, None)
        if clip is None:
            return
        clip.gone.set()
        if clip.work is not None:
            clip.work.stop()
        with suppress(OSError):
            shutil.rmtree(clip.folder, ignore_errors=True)


def _unknown() -> ClipError:
    return ClipError("video_gone", 404, "This video is not here any more; send it again.")


def _full() -> ClipError:
    return ClipError("video_others", 503, "There is no room for the video now; try again later.")
