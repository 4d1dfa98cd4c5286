"""Paths in a source's config: relative ones are meant from the folder of kinlore.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def against_base(path: Path, info: ValidationInfo) -> Path:
    """The path, made absolute against ``base_dir`` of the validation context (else the working folder)."""
    base = (info.context or {}).get("base_dir") or Path.cwd()
    return Path(base, path.expanduser()).absolute()


#: A path key of a source's config model.
LocalPath = Annotated[Path, AfterValidator(against_base)]
