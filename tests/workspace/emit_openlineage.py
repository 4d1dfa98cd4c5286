# mypy: ignore-errors
# (runs with a Python that has openlineage-python)
"""Turn job runs (JSON on stdin) into events as the OpenLineage client sends them (JSON on stdout)."""

import json
import sys
from importlib.metadata import version

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run
from openlineage.client.serde import Serde

PRODUCER = "https://pipelines.example.com/airflow"


def main():
    events = []
    for each in json.load(sys.stdin):
        inputs = [InputDataset(namespace, name) for namespace, name in each["inputs"]]
        outputs = [OutputDataset(namespace, name) for namespace, name in each["outputs"]]
        for state, when in each["states"]:
            failed = state == "FAIL"
            facets = (
                {"errorMessage": error_message_run.ErrorMessageRunFacet(each["error"], "python")}
                if failed
                else {}
            )
            events.append(
                RunEvent(
                    eventType=RunState[state],
                    eventTime=when,
                    run=Run(each["run"], facets),
                    job=Job(each["namespace"], each["job"]),
                    inputs=inputs,
                    # A failed run says nothing about outputs, a starting one has none yet.
                    outputs=outputs if state == "COMPLETE" else [],
                    producer=PRODUCER,
                )
            )
    recorded = [json.loads(Serde.to_json(event)) for event in events]
    json.dump({"version": version("openlineage-python"), "events": recorded}, sys.stdout)


if __name__ == "__main__":
    main()
