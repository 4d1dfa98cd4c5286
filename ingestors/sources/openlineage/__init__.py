"""OpenLineage: events of runs, as its clients push them: Airflow, dbt, Spark, Flink, your code."""

from ingestors.sources.openlineage.source import OpenLineageConfig, OpenLineageSource

__all__ = ["OpenLineageConfig", "OpenLineageSource"]
