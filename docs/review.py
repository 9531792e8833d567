"""Draw rows at random for a person to review: as many from each table as from the others.

python docs/review.py --rows 50 --seed 1    prints file, line and cells; the same seed draws the same rows
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import forecast
from forecast.checks import read_study
from forecast.errors import DataError
from forecast.schema import TABLES, WORKINGS, Row
from forecast.tables import cell


def draw(tables: dict[str, list[tuple[int, Row]]], rows: int, seed: int) -> list[tuple[str, int, Row]]:
    """Return rows as (file, line, row): each table in turn gives one at random until there are enough."""
    generator = random.Random(seed)
    shuffled = {file: generator.sample(own, min(rows, len(own))) for file, own in tables.items() if own}
    order = [(place, file) for file, own in shuffled.items() for place in range(len(own))]
    chosen = sorted(order, key=lambda pair: pair[0])[:rows]
    return sorted((file, *shuffled[file][place]) for place, file in chosen)


def main() -> None:
    """Print the sample."""
    parser = argparse.ArgumentParser(description="Draw rows at random for review.")
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tables, problems = read_study(forecast.find_study(Path(__file__).parent.parent).data)
    if tables is None:
        raise DataError(problems)
    content = {file: list(getattr(tables, file.removesuffix(".csv"))) for file in (*TABLES, *WORKINGS)}
    for file, number, row in draw(content, arguments.rows, arguments.seed):
        print(f"{file}:{number}  " + " | ".join(cell(value) for _, value in row))


if __name__ == "__main__":
    main()
