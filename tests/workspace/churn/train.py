# mypy: ignore-errors
# (runs with the Python of the tracking tools, where mlflow, numpy and pandas are)
"""Train churn models as a plan says: one run or a sweep, each logged to MLflow with the data that it read.

The plan is a JSON file: `{"experiment": name, "runs": [run, …]}`, where a run may have `children`.
What was made is written to the second argument:
`{"runs": {name: run id}, "models": {name: logged model id}}`.
"""

import contextlib
import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import yaml
from mlflow.tracking.context import registry as context

COLUMNS = ["tenure", "monthly", "calls_in_window", "monthly_contract"]


class Churn(mlflow.pyfunc.PythonModel):
    """The smallest model that can be logged: one weight a column, and one for all."""

    def __init__(self, columns, mean, scale, weights):
        self.columns, self.mean, self.scale, self.weights = columns, mean, scale, weights

    def predict(self, context, model_input):
        x = (model_input[self.columns].to_numpy(float) - self.mean) / self.scale
        return (x @ self.weights[:-1] + self.weights[-1] > 0).astype(int)


def dvc_md5(path):
    """What DVC holds at this path now: its own .dvc file, else the stage of dvc.lock that made it."""
    own = Path(path + ".dvc")
    if own.exists():
        return yaml.safe_load(own.read_text())["outs"][0]["md5"]
    for stage in yaml.safe_load(Path("dvc.lock").read_text())["stages"].values():
        for out in stage.get("outs", []):
            if out["path"] == path:
                return out["md5"]
    raise KeyError(f"DVC does not track {path}")


def dirty():
    """Changes in code or parameters. What DVC writes does not count: `dvc repro` rewrites dvc.lock."""
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
    )
    changed = [line[3:] for line in status.stdout.splitlines()]
    return any(not name.endswith(("dvc.lock", ".dvc", ".gitignore")) for name in changed)


def log_inputs(spec):
    """Log every input of the run, tagged with as much as the plan asks for, and return the last one read."""
    frame = None
    for wanted in spec.get("inputs", []):
        path = wanted["path"]
        frame = pd.read_csv(path)
        tags = {"dvc.md5": lambda p=path: dvc_md5(p), "dvc.path": lambda p=path: p}
        dataset = mlflow.data.from_pandas(frame, source=wanted.get("source", path), name=Path(path).stem)
        mlflow.log_input(
            dataset, wanted.get("context", "training"), {t: tags[t]() for t in wanted.get("tags", [])}
        )
    for model_id in spec.get("models", []):
        mlflow.log_input(model=mlflow.entities.LoggedModelInput(model_id))
    return frame


def fit(frame, params, stamp):
    """Logistic regression, by gradient steps or Newton's method; raises where the numbers do."""
    columns = params.get("columns") or COLUMNS
    x = frame[columns].to_numpy(float)
    y = frame["churned"].to_numpy(float)
    if degree := params.get("interactions"):
        x = np.repeat(x, len(columns) ** degree, axis=1)
    mean, scale = x.mean(axis=0), np.where(x.std(axis=0) == 0, 1, x.std(axis=0))
    x = np.column_stack([(x - mean) / scale, np.ones(len(y))])
    weights = np.zeros(x.shape[1])
    for epoch in range(params["epochs"]):
        with np.errstate(over="raise"):
            guess = 1 / (1 + np.exp(-(x @ weights)))
        gradient = x.T @ (y - guess)
        if params.get("solver") == "newton":
            weights = weights + np.linalg.solve((x * (guess * (1 - guess))[:, None]).T @ x, gradient)
        else:
            weights = weights + params["lr"] * gradient / len(y)
        loss = float(-np.mean(y * np.log(guess + 1e-9) + (1 - y) * np.log(1 - guess + 1e-9)))
        if not np.isfinite(loss):
            raise ArithmeticError(f"loss is {loss} after epoch {epoch}: missing values in {columns}?")
        mlflow.log_metric("loss", loss, step=epoch, timestamp=stamp and stamp + 1000 * epoch)
        if pause := params.get("pause"):
            print(f"epoch {epoch}", flush=True)
            time.sleep(pause)
    # The rank form of the area under the curve: no library needed.
    ranks = pd.Series(x @ weights).rank()
    good, bad = (y == 1).sum(), (y == 0).sum()
    auc = float((ranks[y == 1].sum() - good * (good + 1) / 2) / (good * bad))
    mlflow.log_metric("auc", auc, timestamp=stamp and stamp + 1000 * params["epochs"])
    return Churn(columns, mean, scale, weights)


@contextlib.contextmanager
def started(spec, experiment, parent):
    """A run of now, or one of the past where the plan gives its times (fluent MLflow cannot)."""
    tags = {"mlflow.source.git.dirty": str(dirty()).lower(), **spec.get("run_tags", {})}
    if "start_time" not in spec:
        with mlflow.start_run(run_name=spec["name"], nested=parent is not None, tags=tags) as run:
            yield run
        return
    client = mlflow.MlflowClient()
    tags |= {"mlflow.parentRunId": parent} if parent else {}
    run = client.create_run(experiment, spec["start_time"], context.resolve_tags(tags), spec["name"])
    try:
        with mlflow.start_run(run_id=run.info.run_id, nested=parent is not None):
            yield run
    finally:
        status = client.get_run(run.info.run_id).info.status
        client.set_terminated(run.info.run_id, status, spec["end_time"])


def execute(spec, made, experiment, parent=None):
    with started(spec, experiment, parent) as run:
        made["runs"][spec["name"]] = run.info.run_id
        try:
            mlflow.log_params({k: v for k, v in spec.get("params", {}).items() if k != "pause"})
            frame = log_inputs(spec)
            for child in spec.get("children", []):
                # A failed child is the sweep's daily bread: its own run says so, the sweep goes on.
                with contextlib.suppress(Exception):
                    execute(child, made, experiment, run.info.run_id)
            if "params" not in spec:
                return
            fitted = fit(frame, spec["params"], spec.get("start_time"))
            mlflow.log_metrics(spec.get("metrics", {}), timestamp=spec.get("end_time"))
            if spec.get("log_model"):
                model = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=fitted,
                    pip_requirements=spec.get("requirements", ["numpy==" + np.__version__]),
                    registered_model_name=spec.get("register"),
                )
                made["models"][spec["name"]] = model.model_id
        except Exception:
            text = traceback.format_exc()
            if spec.get("error_in") == "artifact":
                mlflow.log_text(text, "error.txt")
            else:
                mlflow.set_tag("error", text[-5000:])
            raise


def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    experiment = mlflow.set_experiment(plan["experiment"]).experiment_id
    made = {"runs": {}, "models": {}}
    for spec in plan["runs"]:
        with contextlib.suppress(Exception):
            execute(spec, made, experiment)
        Path(sys.argv[2]).write_text(json.dumps(made))


if __name__ == "__main__":
    main()
