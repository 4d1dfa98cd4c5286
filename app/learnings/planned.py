"""A planned configuration, read from a file: YAML, JSON or TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from graph_schema.errors import BadInput
from ingestors.yaml_depth import check_depth

_LARGEST = 1_000_000
_TYPES = (".yaml", ".yml", ".json", ".toml")


def read(path: Path) -> dict[str, Any]:
    """The settings in a file, by its ending. Raises BadInput naming the file and what is wrong."""
    ending = path.suffix.lower()
    if ending not in _TYPES:
        raise BadInput(f"{path}: a configuration is one of {', '.join(_TYPES)}")
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise BadInput(f"{path} cannot be read: {problem.strerror}") from None
    if len(content) > _LARGEST:
        raise BadInput(f"{path} has {len(content):,} bytes; allowed are {_LARGEST:,}")
    try:
        made = _parsed(content, ending)
    except BadInput as problem:
        raise BadInput(f"{path} {problem}") from None
    except (ValueError, RecursionError, yaml.YAMLError, msgspec.DecodeError) as problem:
        raise BadInput(f"{path} cannot be read: {' '.join(str(problem).split())[:300]}") from None
    if not isinstance(made, Mapping):
        raise BadInput(f"{path} holds no settings; an object with a value for each name is needed")
    # Dates and the like become the text that they are written as.
    return {str(key): msgspec.to_builtins(value, str_keys=True) for key, value in made.items()}


def _parsed(content: bytes, ending: str) -> Any:
    if ending == ".json":
        return msgspec.json.decode(content)
    text = content.decode("utf-8")
    if ending == ".toml":
        return tomllib.loads(text)
    check_depth(text)
    return yaml.safe_load(text)
