"""A sales file made by the test, and what it adds up to by arithmetic of its own."""

import csv
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from random import Random

REGIONS = ("North", "South", "East", "West", "Islands")


def write_sales(path: Path, rows: int, seed: int = 7) -> None:
    """A CSV file with that many sales."""
    random = Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["region", "product", "quantity", "price", "date"])
        for _ in range(rows):
            day = f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
            price = f"{random.randint(50, 9_999) / 100:.2f}"
            writer.writerow([random.choice(REGIONS), f"p{random.randint(1, 40)}", random.randint(1, 20), price, day])


def add_up(path: Path) -> dict[str, tuple[int, int, Decimal]]:
    """Region -> (rows, quantity, revenue), in exact decimals."""
    found: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0), Decimal(0)])
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            sums = found[row["region"]]
            sums[0] += 1
            sums[1] += int(row["quantity"])
            sums[2] += int(row["quantity"]) * Decimal(row["price"])
    return {region: (int(sums[0]), int(sums[1]), sums[2]) for region, sums in found.items()}
