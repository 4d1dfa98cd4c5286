# mypy: ignore-errors
# (runs with a Python that has mlflow)
"""Trains on the features and registers the model; says in MLflow which table it read and in which job."""

import os
import sys

import mlflow
import pandas as pd
from mlflow.entities import DatasetInput, InputTag


class Constant(mlflow.pyfunc.PythonModel):
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def predict(self, model_input: pd.DataFrame) -> pd.Series:
        return pd.Series([self.rate] * len(model_input))


frame = pd.read_csv(sys.argv[1])
mlflow.set_experiment("warehouse-nightly")
with mlflow.start_run(run_name="nightly", tags={"openlineage.run_id": os.environ["LINEAGE_RUN_ID"]}) as run:
    dataset = mlflow.data.from_pandas(frame, source=sys.argv[1], name="features")
    table = {"namespace": os.environ["TABLE_NAMESPACE"], "name": os.environ["TABLE_NAME"]}
    tags = [InputTag(f"openlineage.dataset.{key}", value) for key, value in table.items()]
    mlflow.MlflowClient().log_inputs(run.info.run_id, [DatasetInput(dataset._to_mlflow_entity(), tags)])
    mlflow.log_metric("rate", float(frame["churned"].mean()))
    mlflow.pyfunc.log_model(
        name="model",
        python_model=Constant(float(frame["churned"].mean())),
        registered_model_name="warehouse-nightly",
        pip_requirements=[],
    )
