"""Runs scheduled jobs in daemon threads: one that hangs in a source's network must not keep the process."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job

# It tells every run and every run that was put off; what matters of them is told where they are run.
logging.getLogger("apscheduler").setLevel(logging.CRITICAL)


class DaemonThreads(BaseExecutor):  # type: ignore[misc]
    """An executor of APScheduler; its own pools are waited for when the interpreter ends."""

    def _do_submit_job(self, job: Any, run_times: list[Any]) -> None:
        def work() -> None:
            try:
                events = run_job(job, job._jobstore_alias, run_times, self._logger.name)
            except BaseException:
                self._run_job_error(job.id, *sys.exc_info()[1:])
            else:
                self._run_job_success(job.id, events)

        threading.Thread(target=work, name=f"kinlore-job-{job.id}", daemon=True).start()
