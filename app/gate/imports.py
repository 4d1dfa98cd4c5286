"""Which Python files of a tree import which, told by their import statements. Nothing is executed."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator, Sequence

from app.gate.trees import Tree

#: Beyond so many Python files the imports are not read; the tree says so.
MAX_FILES = 4_000
_MAX_SIZE = 1_000_000


def importers(tree: Tree, changed: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Changed module → the files that import it, directly or through others, in order."""
    if not changed:
        return {}
    modules = [path for path in tree.files if path.endswith(".py")]
    if len(modules) > MAX_FILES:
        tree.problems.append(f"imports were not followed: there are more than {MAX_FILES:,} Python files")
        return {}
    known = set(modules)
    users: dict[str, set[str]] = {}
    for path, content in tree.contents(modules).items():
        for target in _imported(path, content, known):
            users.setdefault(target, set()).add(path)
    return {path: tuple(sorted(_closure(path, users))) for path in changed}


def _closure(path: str, users: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [path]
    while todo:
        for user in users.get(todo.pop(), ()):
            if user not in found:
                found.add(user)
                todo.append(user)
    return found - {path}


def _imported(path: str, content: bytes, known: set[str]) -> set[str]:
    """The files of the tree that one file's import statements may mean."""
    if len(content) > _MAX_SIZE or b"import" not in content:
        return set()
    try:
        parsed = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    folder = posixpath.dirname(path)
    for names, level in _names(parsed):
        if level:
            roots = [folder]
            for _ in range(level - 1):
                roots = [posixpath.dirname(root) for root in roots]
        else:
            # Beside the script, as Python looks first; then where packages usually lie.
            roots = [folder, "", "src", *_above(folder)]
        for root in roots:
            met = _resolve(root, names, known)
            if met:
                found |= met
                break
    return found - {path}


def _names(parsed: ast.Module) -> Iterator[tuple[list[str], int]]:
    """(dotted parts, relative level) of every module or member that is imported."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split("."), 0
        elif isinstance(node, ast.ImportFrom):
            before = node.module.split(".") if node.module else []
            for alias in node.names:
                # What is imported may be a module or something inside one.
                yield [*before, alias.name], node.level


def _above(folder: str) -> list[str]:
    found = []
    while folder:
        folder = posixpath.dirname(folder)
        found.append(folder)
    return found


def _resolve(root: str, names: list[str], known: set[str]) -> set[str]:
    """The module, and the packages on the way to it, whose code runs too."""
    found: set[str] = set()
    place = root
    for name in names:
        place = posixpath.join(place, name)
        for file in (f"{place}.py", f"{place}/__init__.py"):
            if file in known:
                found.add(file)
    return found
