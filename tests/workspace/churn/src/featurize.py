"""Stage 2: numbers that a model can learn from, and the same rows split in two. Also row by row."""

import csv
from pathlib import Path

FIELDS = ["customer", "tenure", "monthly", "calls_in_window", "monthly_contract", "promo", "churned"]


def window() -> int:
    """The only parameter. Read without a YAML library: stages run with any Python."""
    for line in Path("params.yaml").read_text().splitlines():
        key, _, value = line.strip().partition(":")
        if key == "window":
            return int(value)
    raise SystemExit("params.yaml has no featurize.window")


def features(row: dict[str, str], months: int) -> dict[str, object]:
    tenure = int(row["tenure"])
    return {
        "customer": row["customer"],
        "tenure": tenure,
        "monthly": row["monthly"],
        "calls_in_window": round(int(row["calls"]) * months / max(tenure, 1), 4),
        "monthly_contract": int(row["contract"] == "monthly"),
        "promo": 0,
        "churned": row["churned"],
    }


def main() -> None:
    months = window()
    splits = Path("data/splits")
    splits.mkdir(parents=True, exist_ok=True)
    with (
        Path("data/clean.csv").open(newline="") as source,
        Path("data/features.csv").open("w", newline="") as everything,
        (splits / "train.csv").open("w", newline="") as train,
        (splits / "test.csv").open("w", newline="") as test,
    ):
        writers = [csv.DictWriter(file, FIELDS, lineterminator="\n") for file in (everything, train, test)]
        for writer in writers:
            writer.writeheader()
        for number, row in enumerate(csv.DictReader(source)):
            made = features(row, months)
            writers[0].writerow(made)
            writers[2 if number % 5 == 0 else 1].writerow(made)


if __name__ == "__main__":
    main()
