# mypy: ignore-errors
# (runs with a Python that has duckdb)
"""The table of features as a file, for a training environment that knows no DuckDB."""

import sys

import duckdb

with duckdb.connect(sys.argv[1], read_only=True) as connection:
    connection.execute("copy main.features to '" + sys.argv[2] + "' (header)")
