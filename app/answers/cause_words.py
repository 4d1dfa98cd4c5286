"""What a failure names in its own words, and what failed checks of it found: files, columns, data, packages,
settings. Pure over texts.

Where a bug was mended whose report held a stack trace, six times of ten it was mended in a file of that trace
(A. Schröter, N. Bettenburg, R. Premraj, *Do stack traces help developers fix bugs?*, MSR 2010). Columns,
packages and settings are named where they are missing or wrong.

What failures have in common is read by :mod:`app.learnings.signature`; that masks paths and takes the names
of functions and errors, where here paths count, and names of columns and settings must not drown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from app.answers.outcomes import BAD
from app.learnings.signature import quoted
from graph_schema.normalise import package
from graph_schema.values import Node

_EXTENSION = r"\.(?:py|pyx|ipynb|sql|R|r|jl|scala|java|kt|go|rs|ts|js|mjs|cpp|cc|cu|c|h|sh|ya?ml|toml)"
_FILE = re.compile(rf"(?<![\w@+~/\\.-])(?:[A-Za-z]:)?[\w@+~./\\-]*\w{_EXTENSION}\b(?!\.\w)")
_JAVA = re.compile(r"\bat (?:[\w.$@-]*/)*((?:[\w$]+\.)+)[\w$]+\.[\w$<>]+\((\w+\.(?:java|scala|kt)):\d+\)")
#: A line of a trace that has the innermost call first: Java's and JavaScript's.
_INNERMOST_FIRST = re.compile(r"^\s*at ")
#: Where packages are installed, and Python itself.
_INSTALLED = re.compile(
    r"(?:^|/)(?:site|dist)-packages/(.+)|(?:^|/)node_modules/(.+)|/lib/python3(?:\.\d+)?/(?!(?:site|dist)-)"
)
_CODE = re.compile(r"(?<![\w.])(?:[A-Za-z]\w*\.)*(?:[A-Za-z]+_\w++|[a-z]+[A-Z]\w*+)(?![\w.]*\()")
_CALLED = re.compile(
    r"\b(?:columns?|fields?|features?|tables?|relations?|views?|data ?sets?)(?:_name)?"
    r"(?:\s+(?:with\s+)?(?:name|named|called))?[\"'`\s:=]{1,3}([A-Za-z_][\w.]{1,79})",
    re.IGNORECASE,
)
_MODULE = re.compile(r"[Mm]odule(?:s? named)? ['\"]([A-Za-z_]\w*)|\b(?:import|from) ['\"]?([A-Za-z_]\w*)")
#: What is imported under another name than it is installed under.
_INSTALLED_AS = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "pil": "pillow",
    "cv2": "opencv-python",
    "yaml": "pyyaml",
    "faiss": "faiss-cpu",
    "dateutil": "python-dateutil",
    "bs4": "beautifulsoup4",
    "attr": "attrs",
}
_WORD = re.compile(r"[A-Za-z_]\w+")


class Said(NamedTuple):
    """What a failure names. ``files`` are those of its own code by their parts, the outermost call first;
    ``installed`` those of packages, from where these are installed; ``names``: what is quoted, spelled like
    code or called a column or the like; ``packages``. All but files in lower case."""

    files: tuple[tuple[str, ...], ...] = ()
    installed: tuple[tuple[str, ...], ...] = ()
    names: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()


def said_in(text: str) -> Said:
    """Read what a failure says: message, traceback, end of its log, labels."""
    files: list[tuple[str, ...]] = []
    inner: list[tuple[str, ...]] = []
    installed: list[tuple[str, ...]] = []
    packages = {package(a or b) for a, b in _MODULE.findall(text)}
    for line in text.splitlines():
        found = inner if _INNERMOST_FIRST.match(line) else files
        java = _JAVA.search(line)
        if java is not None:
            found.append((*java[1].split(".")[:-1], java[2]))
            continue
        for path in _FILE.findall(line):
            path = path.replace("\\", "/")
            held = _INSTALLED.search(path)
            if held is None:
                found.append(_parts(path))
            elif inside := held[1] or held[2]:
                installed.append(_parts(inside))
                packages.add(package(_parts(inside)[0].partition(".")[0]))
    names = set(quoted(text))
    names |= {*_CODE.findall(text), *_CALLED.findall(text)}
    names |= {name.rpartition(".")[2] for name in names}
    lower = frozenset(name.lower() for name in names if len(name) > 1)
    packages |= {_INSTALLED_AS[name] for name in packages & _INSTALLED_AS.keys()}
    return Said(_last([*files, *reversed(inner)]), _last(installed), lower, frozenset(packages - {""}))


def found_by(check: Node) -> str:
    """What a failed check found, in its own words."""
    said = check.properties
    found = said.get("failures")
    return "\n".join(map(str, [said.get("because") or "", *(found if isinstance(found, list) else ())]))


def columns_found(checks: Iterable[Node]) -> frozenset[str]:
    """The columns that failed checks found something in, in lower case."""
    results = [check.properties.get("results") for check in checks]
    return frozenset(
        str(result["column"]).lower()
        for each in results
        for result in (each if isinstance(each, list) else ())
        if isinstance(result, Mapping) and result.get("column") and result.get("status") in BAD
    )


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", ".", "..", "~"))


def _last(files: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Each file once, where it is named last."""
    return tuple(dict.fromkeys(reversed([file for file in files if file])))[::-1]


def is_named(path: str, file: Sequence[str], installed: bool = False) -> bool:
    """Whether a file of a repository is the one that is named: the one path ends as the other does. Folders
    above may differ, as code is copied to where it runs; of an installed file everything has to agree."""
    own = _parts(path)
    alike = 0
    for mine, theirs in zip(reversed(own), reversed(file), strict=False):
        if mine != theirs:
            break
        alike += 1
    if alike == 0 or (alike == 1 and own[-1] in ("__init__.py", "__main__.py")):
        return False
    if installed:
        return alike == len(file) > 1
    return alike >= 2 or alike in (len(own), len(file))


def named_files(said: Said, paths: Collection[str]) -> list[tuple[str, bool]]:
    """Those of the paths that are named, and whether that is the innermost of the named files."""
    found = []
    last = said.files[-1:]
    called = {file[-1] for file in (*said.files, *said.installed)}
    for path in paths:
        if path.rpartition("/")[2] not in called:
            continue
        if any(is_named(path, file) for file in last):
            found.append((path, True))
        elif any(is_named(path, file) for file in said.files) or any(
            is_named(path, file, installed=True) for file in said.installed
        ):
            found.append((path, False))
    return sorted(found, key=lambda pair: (not pair[1], pair[0]))


def named_words(said: Said, text: str) -> list[str]:
    """The words of a text that are named, in its order."""
    return list(dict.fromkeys(w for w in _WORD.findall(text) if len(w) > 2 and w.lower() in said.names))


def named_data(said: Said, name: str) -> bool:
    """Whether data of such a name is named: by its name, or by that of its file."""
    short = name.replace("\\", "/").rpartition("/")[2].lower()
    stem = short.partition(".")[0]
    return len(stem) > 1 and not said.names.isdisjoint({short, stem, name.lower()})


def named_packages(said: Said, packages: Collection[str]) -> list[str]:
    """Those of the packages that are named, in order."""
    return sorted(name for name in packages if package(name) in said.packages)
