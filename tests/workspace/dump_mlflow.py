# mypy: ignore-errors
# (runs with the Python of the tracking tools)
"""Print as JSON what MLflow's own client says about everything on the server of MLFLOW_TRACKING_URI."""

import json
import sys

import mlflow
from mlflow.entities import ViewType


def everything(search):
    found, token = [], None
    while True:
        page = search(token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def environment(model):
    """The two files that MLflow writes beside every logged model; none where the upload never ended."""
    try:
        return {
            name: mlflow.artifacts.load_text(f"{model.artifact_location}/{name}")
            for name in ("python_env.yaml", "requirements.txt")
        }
    except Exception:
        return None


def main():
    client = mlflow.MlflowClient()
    experiments = everything(lambda t: client.search_experiments(view_type=ViewType.ALL, page_token=t))
    ids = [experiment.experiment_id for experiment in experiments]
    runs = everything(lambda t: client.search_runs(ids, run_view_type=ViewType.ALL, page_token=t))
    models = everything(lambda t: client.search_logged_models(ids, page_token=t))
    registered = everything(lambda t: client.search_registered_models(page_token=t))
    versions = everything(lambda t: client.search_model_versions(page_token=t))
    answer = {
        "experiments": [
            {"id": e.experiment_id, "name": e.name, "gone": e.lifecycle_stage == "deleted"}
            for e in experiments
        ],
        "runs": [
            {
                "id": run.info.run_id,
                "experiment": run.info.experiment_id,
                "status": run.info.status,
                "gone": run.info.lifecycle_stage == "deleted",
                "tags": run.data.tags,
                "inputs": [
                    {
                        "tags": {tag.key: tag.value for tag in each.tags},
                        "digest": each.dataset.digest,
                        "source_type": each.dataset.source_type,
                        "source": json.loads(each.dataset.source),
                    }
                    for each in run.inputs.dataset_inputs
                ],
                "model_outputs": [output.model_id for output in run.outputs.model_outputs],
            }
            for run in runs
        ],
        "logged_models": [
            {"id": model.model_id, "run": model.source_run_id, "environment": environment(model)}
            for model in models
        ],
        "models": [{"name": model.name, "aliases": dict(model.aliases)} for model in registered],
        "model_versions": [
            {"name": each.name, "version": int(each.version), "source": each.source, "run": each.run_id}
            for each in versions
        ],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
