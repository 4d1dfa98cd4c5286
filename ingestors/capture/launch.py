"""Which launch a process belongs to: torchrun, srun and mpirun start many, and all of them are one run."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

_SPACE = uuid.UUID("7c1d7f5e-0d7b-5f4e-9f0c-6f3a3c2f9b11")


class _Launcher(NamedTuple):
    """The variables in which a launcher tells its processes their rank, how many there are, how many of them
    on this machine, and what names the launch."""

    rank: str
    size: str
    here: str
    names: tuple[str, ...]


_TORCH = _Launcher(
    "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE",
    ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT"),
)  # fmt: skip
_SLURM = _Launcher(
    "SLURM_PROCID", "SLURM_NTASKS", "",
    ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"),
)  # fmt: skip
_OPEN_MPI = _Launcher(
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE",
    ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "SLURM_JOB_ID", "SLURM_STEP_ID"),
)  # fmt: skip
_HYDRA = _Launcher("PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", ())


class Launch(msgspec.Struct, frozen=True):
    """``run`` is the value of ``kinlore.run``, the same in all processes of a launch; ``rank`` and ``size``
    are None where there is only this one. ``parent`` is the run around this one."""

    run: str
    rank: int | None = None
    size: int | None = None
    parent: str | None = None


def launch(environ: Mapping[str, str]) -> Launch:
    """What this process is part of, as the launcher's variables tell."""
    parent = environ.get("KINLORE_RUN_ID") or None
    for launcher in (_TORCH, _OPEN_MPI, _HYDRA, _SLURM):
        rank, size = _number(environ.get(launcher.rank)), _number(environ.get(launcher.size))
        if rank is not None and size is not None and size > 1:
            key = _unique(launcher, environ, size)
            if key is not None:
                return Launch(str(uuid.uuid5(_SPACE, key)), rank, size, parent)
            break
    return Launch(str(uuid.uuid4()), parent=parent)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else None


def _unique(launcher: _Launcher, environ: Mapping[str, str], size: int) -> str | None:
    """A text that all processes of this launch share and no other launch has; None where nobody can tell."""
    said = [f"{name}={environ[name]}" for name in launcher.names if environ.get(name)]
    if launcher is not _SLURM and (_number(environ.get(launcher.here)) or size) == size:
        # All of them are here, children of one process: its start tells this launch from all others.
        said += [socket.gethostname(), _process(os.getppid())]
    elif launcher is _TORCH and environ.get("TORCHELASTIC_RUN_ID", "none") == "none":
        # torchrun over several machines without --rdzv-id calls every launch the same.
        return None
    return "\n".join([launcher.rank, *said]) if said else None


def _process(pid: int) -> str:
    """A process by its number and its start, for numbers come again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{pid} {fields.split()[19]} {boot}"
    except (OSError, IndexError):
        return str(pid)
