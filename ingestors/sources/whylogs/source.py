"""The source: profiles, and reports of constraints beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from graph_schema.errors import BadInput
from graph_schema.times import parse_time
from ingestors.checks import FAILED, PASSED, Assertion, Examination, number
from ingestors.result_files import Json, NoResult, ResultFiles, json_object, told
from ingestors.source import Discovered
from ingestors.sources.whylogs import profile
from ingestors.subjects import said_in

_TAG = "whylogs.tag."


class WhylogsSource(ResultFiles):
    """Profiles (``.bin``) and reports of constraints (``.json``) below a folder."""

    type: ClassVar[str] = "whylogs"
    tool: ClassVar[str] = "whylogs"
    what: ClassVar[str] = "profile"
    suffixes: ClassVar[tuple[str, ...]] = (".bin", ".json")

    def read(self, file: Path, key: str, content: bytes) -> Examination:
        return _report(key, content) if key.endswith(".json") else _profile(key, content)

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        for place in ("whylogs_output", "whylogs", "profiles"):
            for file in (folder / place).glob("**/*.bin"):
                with file.open("rb") as opened:
                    if opened.read(len(profile.MAGIC)) == profile.MAGIC:
                        return [Discovered({"path": place}, f"{place} holds profiles of whylogs")]
        return []


def _profile(key: str, content: bytes) -> Examination:
    if not content.startswith(profile.MAGIC):
        raise NoResult
    found = profile.read(content)
    rows = max((stats.get("count", 0.0) for stats in found.columns.values()), default=0.0)
    return Examination(
        name=_name(key, found.metadata),
        stream=_stream(key, found.metadata),
        at=found.at,
        kind="profile",
        segment=found.segment,
        metrics={"rowCount": rows, "columnCount": float(len(found.columns))},
        columns=found.columns,
        said=said_in(found.metadata),
        about=_about(found.metadata),
    )


def _report(key: str, content: bytes) -> Examination:
    """What ``generate_constraints_report`` found, written as the documentation says."""
    report = json_object(content)
    listed, metadata = report.get("constraints"), report.get("metadata")
    if not isinstance(listed, list):
        raise NoResult
    said_at = report.get("dataset_timestamp")
    if not isinstance(said_at, str):
        raise BadInput("a report of constraints needs dataset_timestamp, such as 2026-01-31T10:00:00+00:00")
    held: dict[str, str] = {k: str(v) for k, v in metadata.items()} if isinstance(metadata, Mapping) else {}
    said = said_in(held)
    segment = ", ".join(f"{k.removeprefix(_TAG)}={v}" for k, v in sorted(held.items()) if k.startswith(_TAG))
    return Examination(
        name=_name(key, held),
        stream=_stream(key, held),
        at=parse_time(said_at),
        kind=said.get("kinlore.kind", "data_quality"),
        segment=segment or None,
        assertions=[_constraint(each, said) for each in listed if isinstance(each, Mapping)],
        said=said,
        about=_about(held),
    )


def _constraint(each: Json, said: Mapping[str, str]) -> Assertion:
    failed = number(each.get("failed")) or 0.0
    return Assertion(
        name=told(each.get("name")) or "constraint",
        kind=said.get("kinlore.kind", "data_quality"),
        status=FAILED if failed else PASSED,
        value=failed,
        threshold="0 failures",
    )


def _name(key: str, metadata: Mapping[str, str]) -> str:
    return told(metadata.get("name")) or key.rpartition("/")[2].rpartition(".")[0]


def _stream(key: str, metadata: Mapping[str, str]) -> str:
    """What repeats: the name that somebody gave the profile, else the folder it lies in."""
    return told(metadata.get("name")) or key.rpartition("/")[0] or "profiles"


def _about(metadata: Mapping[str, str]) -> dict[str, str]:
    version = told(metadata.get("whylogs.version"))
    return {} if version is None else {"toolVersion": version}
