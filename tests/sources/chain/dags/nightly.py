# mypy: ignore-errors
# (read by Airflow)
"""Every night: load two files, transform them with dbt, train a model. Paths come from the environment."""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

CHAIN = os.environ["CHAIN"]
DBT = os.environ["DBT_BIN"]
MLFLOW = os.environ["MLFLOW_BIN"]
HOME = os.environ["CHAIN_HOME"]
WAREHOUSE = f"{HOME}/warehouse.duckdb"

PARENT = "{{ macros.OpenLineageProviderPlugin.lineage_parent_id(task_instance) }}"
RUN_ID = "{{ macros.OpenLineageProviderPlugin.lineage_run_id(task_instance) }}"

with DAG(
    "nightly",
    start_date=datetime(2026, 11, 1),
    schedule="@daily",
    catchup=False,
    default_args={"owner": "team:retention", "retries": 1, "retry_delay": timedelta(seconds=1)},
) as dag:
    load = BashOperator(
        task_id="load",
        bash_command=f"{DBT}/python {CHAIN}/load.py {HOME}/in {WAREHOUSE}",
        env={"OPENLINEAGE_PARENT_ID": PARENT},
        append_env=True,
        inlets=[Asset(f"file://{HOME}/in/customers.csv"), Asset(f"file://{HOME}/in/calls.csv")],
    )
    transform = BashOperator(
        task_id="transform",
        bash_command=f"{DBT}/dbt-ol run --project-dir {HOME}/dbt --profiles-dir {HOME}/dbt",
        env={"OPENLINEAGE_PARENT_ID": PARENT, "WAREHOUSE": WAREHOUSE, "PATH": f"{DBT}:/usr/bin:/bin"},
        append_env=True,
    )
    count = BashOperator.partial(task_id="count", append_env=True).expand(
        bash_command=["echo customers", "echo calls"]
    )
    train = BashOperator(
        task_id="train",
        bash_command=(
            f"{DBT}/python {CHAIN}/export.py {WAREHOUSE} {HOME}/features.csv"
            f" && {MLFLOW}/python {CHAIN}/train.py {HOME}/features.csv"
        ),
        env={
            "LINEAGE_RUN_ID": RUN_ID,
            "TABLE_NAMESPACE": f"duckdb://{WAREHOUSE}",
            "TABLE_NAME": "warehouse.main.features",
        },
        append_env=True,
    )
    load >> [transform, count] >> train
