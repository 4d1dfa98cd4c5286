"""What a command's last words say of its failure. Pure functions over its output."""

from __future__ import annotations

import re
from itertools import pairwise, takewhile

import msgspec

MAX_TRACEBACK = 16_000
MAX_MESSAGE = 2_000
MAX_FRAMES = 60
MAX_LOG = 16_000
_MAX_LINES = 200

_BEGIN = "Traceback (most recent call last):"
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_FRAME = re.compile(r'  File "([^"]+)", line (\d+)(?:, in (.+))?')
#: How lines of logs begin: a date, a level, a bracket.
_LOGGED = re.compile(
    r"\d{2,4}[-/:.]\d\d|[\[<]|[IWEFD]\d{4} |(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL)\b", re.IGNORECASE
)
_MAX_MORE = 20
_LAST = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:: (.*))?")
# Colours, cursor movements, titles.
_STEERING = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
# What launchers put before each line of a process: "[rank0]:", "0: ", "[1,0]<stderr>:".
_PREFIX = re.compile(r"^(?:\[[\w ,:.\-]{1,40}\](?:<std(?:err|out)>)?:\s?|\d{1,5}:\s)")
#: They say only that a process failed, of which the process itself said more before.
_OF_LAUNCHERS = ("ChildFailedError", "CalledProcessError", "ProcessRaisedException", "ProcessExitedException")


class Frame(msgspec.Struct, frozen=True):
    """A place in the code that an exception passed through, the outermost first."""

    file: str
    line: int
    function: str


class Failure(msgspec.Struct, frozen=True):
    """An exception as Python printed it: its type with its module, the message, where it came through, and
    the whole text, which ends with the message."""

    type: str
    message: str
    frames: tuple[Frame, ...]
    text: str


def readable(output: bytes) -> list[str]:
    """The lines that a person saw at the end: without colours, each progress bar in its last state."""
    text = _STEERING.sub("", output.decode("utf-8", "replace"))
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return ["".join(c if c == "\t" or c.isprintable() else "\ufffd" for c in line).rstrip() for line in lines]


def log_tail(lines: list[str]) -> str:
    """The end of the log, at most 200 lines and 16,000 characters."""
    end = len(lines)
    while end and not lines[end - 1]:
        end -= 1
    return "\n".join(lines[max(0, end - _MAX_LINES) : end])[-MAX_LOG:].lstrip("\n")


def exception_in(lines: list[str]) -> Failure | None:
    """The exception that ended the command: the last traceback printed, but for one by a launcher, which only
    says that a process of it failed."""
    read = [_read(lines[start:end]) for start, end in pairwise([*_starts(lines), len(lines)])]
    found = [failure for failure in read if failure is not None]
    own = [failure for failure in found if failure.type.rpartition(".")[2] not in _OF_LAUNCHERS]
    return own[-1] if own else found[-1] if found else None


def _starts(lines: list[str]) -> list[int]:
    """Where tracebacks begin; those chained to one before it belong to that."""
    starts: list[int] = []
    for at, line in enumerate(lines):
        if line.endswith(_BEGIN):
            before = [bare for other in lines[max(0, at - 3) : at] if (bare := _bare(other))]
            if not (starts and before and before[-1] in _CHAINED):
                starts.append(at)
    return starts


def _bare(line: str) -> str:
    return _PREFIX.sub("", line).strip()


def _read(lines: list[str]) -> Failure | None:
    prefix = lines[0][: -len(_BEGIN)]
    body: list[str] = []
    frames: list[Frame] = []
    last: tuple[int, str, str] | None = None
    for line in lines:
        if not line.startswith(prefix.rstrip()):
            break
        line = line[len(prefix) :]
        if line == _BEGIN:
            frames, last = [], None
        elif match := _FRAME.fullmatch(line):
            frames.append(Frame(match[1], int(match[2]), match[3] or ""))
        elif last is None and line and not line.startswith(" ") and line not in _CHAINED:
            if (match := _LAST.fullmatch(line)) is None:
                return None
            last = (len(body), match[1], match[2] or "")
        body.append(line)
    if last is None:
        return None
    at, name, said = last
    # A message may have several lines, and nothing marks its end.
    more = list(takewhile(lambda line: line and not _LOGGED.match(line), body[at + 1 : at + 1 + _MAX_MORE]))
    text = "\n".join(body[: at + 1 + len(more)])
    message = "\n".join([said, *more]).strip()
    return Failure(name, message[:MAX_MESSAGE], tuple(frames[-MAX_FRAMES:]), text[-MAX_TRACEBACK:])
