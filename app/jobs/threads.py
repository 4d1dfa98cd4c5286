"""APScheduler as we use it: jobs in daemon threads, in a process's own memory, and quiet when it ends."""

from __future__ import annotations

import logging
import sys
import threading
from datetime import UTC
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED

# It tells every run and every run that was put off; what matters of them is told where they are run.
logging.getLogger("apscheduler").setLevel(logging.CRITICAL)


class DaemonThreads(BaseExecutor):  # type: ignore[misc]
    """An executor of APScheduler. Its own pools are waited for when the interpreter ends, and a job that
    hangs in a source's network must not keep the process."""

    def _do_submit_job(self, job: Any, run_times: list[Any]) -> None:
        def work() -> None:
            try:
                events = run_job(job, job._jobstore_alias, run_times, self._logger.name)
            except BaseException:
                self._run_job_error(job.id, *sys.exc_info()[1:])
            else:
                self._run_job_success(job.id, events)

        threading.Thread(target=work, name=f"kinlore-job-{job.id}", daemon=True).start()


class Timer(BackgroundScheduler):  # type: ignore[misc]
    """Runs each job once at its time, however late. Its job store is this process's own: such stores must not
    be shared, and what servers share is in the graph's store."""

    def __init__(self) -> None:
        super().__init__(
            timezone=UTC,
            executors={"default": DaemonThreads()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def _process_jobs(self) -> Any:
        try:
            return super()._process_jobs()
        except JobLookupError:
            # Stopped in the middle of a round: the jobs that it was about to take off are gone already.
            if self.state == STATE_STOPPED:
                return None
            raise
