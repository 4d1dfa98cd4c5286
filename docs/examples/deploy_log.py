"""A source for Kinlore: deployments from a file that a release script appends to, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graph_schema.claims import Claim, Links, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, parse_time
from ingestors.paths import LocalPath
from ingestors.source import Discovered, Item, Pulled, Source, SourceConfig, SourceError

PAGE = 500
FILE = "deployments.jsonl"


class DeployLogConfig(SourceConfig):
    """The keys that every source has, and one of our own. Unknown keys are refused."""

    path: LocalPath


class DeployLog(Source):
    """Reads ``{"environment", "name", "revision", "model", "at"}``; ``model`` as in MLflow: name/version."""

    type = "deploy_log"
    config_model = DeployLogConfig
    #: Record types that may be marked as gone when a complete pull no longer shows them.
    retirable = ("deployment",)

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        """Pages since the cursor, which is the number of bytes read so far. Here, and only here, is I/O."""
        content = self._read()
        start = cursor["read"] if cursor is not None and cursor["read"] <= len(content) else 0
        # A line without its end is still being written; it waits for the next pull.
        lines = content[start : content.rfind(b"\n") + 1].splitlines(keepends=True)
        present: set[str] = set()
        for first in range(0, max(len(lines), 1), PAGE):
            page = lines[first : first + PAGE]
            items = [self._item(line, now) for line in page]
            present.update(item.key for item in items)
            start += sum(map(len, page))
            last = first + PAGE >= len(lines)
            # Read from the beginning, the file shows all there is: what it does not show is gone.
            whole = last and start == sum(map(len, lines))
            yield Pulled(
                items,
                {"read": start},
                total=len(lines),
                complete={"deployment": frozenset(present)} if whole else None,
            )

    def _item(self, line: bytes, now: Micros) -> Item:
        """One record. Its key is what it is about, so that the same deployment is the same record."""
        text = line.decode(errors="replace").strip()
        try:
            data = json.loads(text)
            return Item(f"{data['environment']}/{data['name']}@{data['revision']}", "deployment", now, data)
        except (ValueError, TypeError, KeyError):
            # Refused with its reason in to_claims: it becomes a dead letter, and the others land.
            return Item(text[:200] or "empty line", "deployment", now, {"line": text})

    def to_claims(self, item: Item) -> Sequence[Claim]:
        """What a record says. A pure function: no files, no network, no clock."""
        data = item.data
        scope = self.config.scope
        me = identifier("deployment", item.key, scope)
        place = identifier("environment", data["environment"], scope)
        at = parse_time(data["at"])
        # No scope: which tracking server it lives on is not known here. It joins where one version matches.
        model = identifier("mlflow.model_version", data["model"])
        return [
            States(NodeKind.ENVIRONMENT, place, {"name": data["environment"]}),
            States(NodeKind.DEPLOYMENT, me, {"name": f"{data['name']} {data['revision']}", "createdAt": at}),
            Links(EdgeKind.HAS, place, me, at),
            Links(EdgeKind.DEPLOYED_AS, model, me, at),
        ]

    def check(self) -> str:
        """One line for ``kinlore init`` and ``kinlore doctor``."""
        return f"{self.config.path}: {len(self._read().splitlines()):,} lines"

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        """What ``kinlore init`` finds in a folder."""
        found = (folder / FILE).is_file()
        return [Discovered({"path": FILE}, f"{FILE} lies in this folder")] if found else []

    def _read(self) -> bytes:
        try:
            return bytes(self.config.path.read_bytes())
        except OSError as problem:
            raise SourceError(f"{self.config.path} cannot be read: {problem.strerror}") from None
