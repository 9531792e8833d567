"""Make the sanctions readings of data/indicators.csv from data/sanctions.csv, by the rule of forecast/sanctions.py.

python docs/sanctions.py            write them
python docs/sanctions.py --compare  print each reading that would change, old and new
"""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

from forecast.checks import Tables, read_study, windows
from forecast.errors import DataError
from forecast.files import write_atomically
from forecast.sanctions import make_readings
from forecast.schema import IndicatorRow
from forecast.tables import format_rows

DATA = Path(__file__).parent.parent / "data"


def computed(tables: Tables) -> list[IndicatorRow]:
    """Return the readings that follow from the table, for every country in it."""
    rows, stretches, spells = defaultdict(list), defaultdict(list), defaultdict(list)
    for _, row in tables.sanctions:
        rows[row.country].append(row)
    for window in windows(tables):
        stretches[window.country].append((window.start, window.end))
    for _, spell in tables.leaders:
        spells[spell.country].append(spell.start)
    return [
        reading for country, own in rows.items() for reading in make_readings(own, stretches[country], spells[country])
    ]


def compare(old: list[IndicatorRow], new: list[IndicatorRow]) -> None:
    """Print the severity before and after on every day on which either changes."""
    for country in sorted({row.country for row in old + new}):
        pair = [sorted((r for r in rows if r.country == country), key=lambda r: r.observed_on) for rows in (old, new)]
        for day in sorted({row.observed_on for rows in pair for row in rows}):
            before, after = (_value_on(rows, day) for rows in pair)
            mark = " <<" if abs(before - after) > 0.15 else ""
            print(f"{country} {day} {before:.2f} -> {after:.2f}{mark}")


def _value_on(rows: list[IndicatorRow], day: date) -> float:
    return next((row.value for row in reversed(rows) if row.observed_on <= day), 0.0)


def main() -> None:
    """Write the readings, or compare them with those that stand."""
    tables, problems = read_study(DATA)
    if tables is None:
        raise DataError(problems)
    old = [row for _, row in tables.indicators if row.indicator == "sanctions"]
    new = computed(tables)
    if "--compare" in sys.argv:
        compare(old, new)
        return
    rest = [row for _, row in tables.indicators if row.indicator != "sanctions"]
    rows = sorted(rest + new, key=lambda row: (row.country, row.indicator, row.observed_on, row.coder, row.known_on))
    header = ",".join(IndicatorRow.model_fields) + "\n"
    write_atomically(DATA / "indicators.csv", header + format_rows(rows))
    print(f"{len(new)} readings of sanctions made from {len(tables.sanctions)} rows of sanctions.csv")


if __name__ == "__main__":
    main()
