# mypy: ignore-errors
# (runs with a Python that has duckdb and openlineage-python)
"""The nightly load: two files into the warehouse, told by the OpenLineage client itself."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import ownership_job, parent_run, schema_dataset
from openlineage.client.uuid import generate_new_uuid


def main(folder: Path, warehouse: str) -> None:
    client = OpenLineageClient()
    namespace, name, run = os.environ["OPENLINEAGE_PARENT_ID"].rsplit("/", 2)
    parent = parent_run.ParentRunFacet(parent_run.Run(run), parent_run.Job(namespace, name))
    owners = ownership_job.OwnershipJobFacet([ownership_job.Owner("team:retention", "MAINTAINER")])
    for table in ("customers", "calls"):
        source = folder / f"{table}.csv"
        told = Run(str(generate_new_uuid()), {"parent": parent})
        job = Job("warehouse", f"load.{table}", {"ownership": owners})
        read = InputDataset("file", str(source))
        client.emit(RunEvent(eventType=RunState.START, eventTime=now(), run=told, job=job, inputs=[read]))
        with duckdb.connect(warehouse) as connection:
            connection.execute("create schema if not exists raw")
            connection.execute(
                f"create or replace table raw.{table} as select * from read_csv_auto(?)", [str(source)]
            )
            rows = connection.execute(f"describe raw.{table}").fetchall()
        fields = [schema_dataset.SchemaDatasetFacetFields(row[0], row[1]) for row in rows]
        schema = schema_dataset.SchemaDatasetFacet(fields)
        # As dbt's own events name the tables of this file.
        name = f"{Path(warehouse).stem}.raw.{table}"
        wrote = OutputDataset(f"duckdb://{warehouse}", name, facets={"schema": schema})
        client.emit(
            RunEvent(eventType=RunState.COMPLETE, eventTime=now(), run=told, job=job, outputs=[wrote])
        )


def now() -> str:
    return datetime.now(UTC).isoformat()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
