"""Which processes belong to one launch."""

from __future__ import annotations

import pytest

from ingestors.capture.launch import launch

TORCH = {"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
SLURM = {"SLURM_CLUSTER_NAME": "big", "SLURM_JOB_ID": "71", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "16"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_SIZE": "4", "PMIX_NAMESPACE": "prterun-1@1"}
HYDRA = {"PMI_SIZE": "2", "MPI_LOCALNRANKS": "2"}


@pytest.mark.parametrize(
    ("environ", "rank", "other"),
    [
        ({**TORCH, "TORCHELASTIC_RUN_ID": "job-7"}, "RANK", {"TORCHELASTIC_RUN_ID": "job-8"}),
        ({**TORCH, "TORCHELASTIC_RUN_ID": "job-7"}, "RANK", {"TORCHELASTIC_RESTART_COUNT": "1"}),
        ({**TORCH, "LOCAL_WORLD_SIZE": "8"}, "RANK", {"MASTER_PORT": "29501"}),
        (SLURM, "SLURM_PROCID", {"SLURM_STEP_ID": "1"}),
        (SLURM, "SLURM_PROCID", {"SLURM_JOB_ID": "72"}),
        (OPEN_MPI, "OMPI_COMM_WORLD_RANK", {"PMIX_NAMESPACE": "prterun-2@1"}),
    ],
)
def test_all_ranks_are_one_run_and_another_launch_is_another(
    environ: dict[str, str], rank: str, other: dict[str, str]
) -> None:
    first, second = (launch({**environ, rank: number}) for number in ("0", "1"))
    elsewhere = launch({**environ, **other, rank: "0"})

    assert first.run == second.run != elsewhere.run
    assert (first.rank, second.rank, first.size) == (0, 1, elsewhere.size)


def test_hydra_tells_by_its_parent() -> None:
    assert launch({**HYDRA, "PMI_RANK": "0"}).run == launch({**HYDRA, "PMI_RANK": "1"}).run


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"RANK": "zero", "WORLD_SIZE": "2"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"},
        # Over several machines every launch without --rdzv-id looks alike.
        {**TORCH, "RANK": "0", "TORCHELASTIC_RUN_ID": "none"},
    ],
)
def test_where_nobody_can_tell_each_process_is_a_run(environ: dict[str, str]) -> None:
    first, second = launch(environ), launch(environ)

    assert first.run != second.run
    assert first.rank is None and first.size is None


def test_the_run_around_it() -> None:
    assert launch({"KINLORE_RUN_ID": "0f8fad5b-d9cb-469f-a165-70867728950e"}).parent == (
        "0f8fad5b-d9cb-469f-a165-70867728950e"
    )
