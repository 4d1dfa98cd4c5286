"""Stage 1: drop the customers without a contract. Row by row: a late row changes nothing before it."""

import csv
from pathlib import Path


def main() -> None:
    with (
        Path("data/raw.csv").open(newline="") as source,
        Path("data/clean.csv").open("w", newline="") as target,
    ):
        rows = csv.DictReader(source)
        writer = csv.DictWriter(target, fieldnames=list(rows.fieldnames or []), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["contract"])


if __name__ == "__main__":
    main()
