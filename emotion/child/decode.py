"""Decoding in a process of its own: what ``emotion.ui.decoder`` starts, and may kill.

It reads pictures from its standard input and writes pixels to its standard output, one after the
other. It opens no file, and its limits hold whatever a decoder does.
"""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from typing import BinaryIO

from emotion import child
from emotion.errors import ImageError
from emotion.images import MAX_PIXELS, decode_image

MEMORY = 1 << 30
"""Bytes that decoding may take beyond what the process has when it is idle: 40 megapixels fit."""

CPU_SECONDS = 5
"""Processor time for one picture; 40 megapixels of what fits into an upload take one or two."""

REQUEST = struct.Struct(">I")
"""Length of the file that follows."""

ANSWER = struct.Struct(">BII")
"""Kind, then height and width of the RGB bytes that follow, or 0 and the length of a sentence."""

PIXELS, SENTENCE = 0, 1


def main() -> None:
    """Answer until the other end is closed."""
    requests, answers = sys.stdin.buffer, child.answers()
    with suppress(AttributeError, OSError):
        os.nice(5)  # camera frames come first
    _limit_memory()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        content = requests.read(REQUEST.unpack(head)[0])
        _limit_time()
        _answer(answers, content)
        answers.flush()


def _answer(answers: BinaryIO, content: bytes) -> None:
    try:
        image = decode_image(content, max_pixels=MAX_PIXELS)
    except ImageError as error:
        _say(answers, str(error))
    except MemoryError:
        _say(answers, "The picture takes too much memory to decode; send a smaller one.")
    except Exception as error:
        _say(answers, f"The picture cannot be decoded ({type(error).__name__}); save it again.")
    else:
        answers.write(ANSWER.pack(PIXELS, *image.shape[:2]))
        answers.write(image.data)


def _say(answers: BinaryIO, sentence: str) -> None:
    data = sentence.encode("utf-8", "replace")
    answers.write(ANSWER.pack(SENTENCE, 0, len(data)) + data)


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system has these limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


def _limit_time() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(usage.ru_utime + usage.ru_stime) + 1 + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
