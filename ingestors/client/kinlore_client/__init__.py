"""What Kinlore records inside a training environment: see :func:`record`, and MLflow's tags ``kinlore.*``."""

from __future__ import annotations

from kinlore_client.lineage import record

__all__ = ["__version__", "record"]
__version__ = "0.1.0"
