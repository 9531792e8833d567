"""Severity of sanctions from countable facts: the kinds of measure and the senders' share of the target's trade.

One rule for every year. A measure weighs the depth of its kind times the square root of the senders' share of the
target's trade: harm grows with the share, but less than in proportion, since trade finds other ways. Of each kind the
farthest-reaching measure counts, and kinds add up as independent blows: 1 - (1 - a)(1 - b)...
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from forecast.schema import SHARES, IndicatorRow, SanctionRow

KINDS = {  # harm if every trading partner took part, and what belongs here
    "persons": (0.1, "travel bans and freezes on named persons, relations broken off"),
    "arms": (0.1, "arms embargo, military aid stopped"),
    "aid": (0.2, "development aid and official credit withheld"),
    "goods": (0.2, "some goods barred, or tariffs raised as a punishment"),
    "transport": (0.2, "air, sea, rail or road links closed"),
    "sector": (0.4, "branches barred: technology, energy gear, long-term credit to state banks"),
    "staple": (0.4, "the main export or import barred: oil, gas, grain, wine"),
    "finance": (0.4, "banks cut off, reserves or state assets frozen, no credit"),
    "trade": (0.7, "most trade barred both ways"),
    "blockade": (0.9, "all trade barred and the ban enforced at sea or at the borders"),
}
FLAT = ("persons", "arms")  # weigh the same whoever sends them
DEPTH_ERROR = 0.25  # share by which a depth may be off, either way
STEP = 0.05
TOLERANCE = 0.15  # a reading further from the rule than this is an error


@dataclass(frozen=True)
class Severity:
    """Severity of the sanctions in force on a day, with its range."""

    value: float
    low: float
    high: float


def reach(share: str) -> tuple[float, float, float]:
    """Return the weight of a class of trade shares at its middle and its two bounds.

    Examples
    --------
    >>> tuple(round(number, 2) for number in reach("large"))
    (0.61, 0.5, 0.71)
    """
    least, most = SHARES[share]
    return math.sqrt((least + most) / 2), math.sqrt(least), math.sqrt(most)


def severity(in_force: Sequence[SanctionRow]) -> Severity:
    """Return the severity of the sanctions in force, to a twentieth; never zero while any is.

    Parameters
    ----------
    in_force : sequence of SanctionRow
    """
    if not in_force:
        return Severity(0.0, 0.0, 0.0)
    kinds = sorted({kind for row in in_force for kind in row.measures})
    weights = [max(_weights(kind, row.share) for row in in_force if kind in row.measures) for kind in kinds]
    value, low, high = (1 - math.prod(1 - weight[place] for weight in weights) for place in range(3))
    middle = max(round(value / STEP), 1)
    below, above = min(math.floor(low / STEP + 1e-9), middle - 1), max(math.ceil(high / STEP - 1e-9), middle + 1)
    return Severity(*(round(min(steps * STEP, 1.0), 2) for steps in (middle, below, above)))


def _weights(kind: str, share: str) -> tuple[float, float, float]:
    middle, least, most = (1.0, 1.0, 1.0) if kind in FLAT else reach(share)
    depth, _ = KINDS[kind]
    return depth * middle, depth * (1 - DEPTH_ERROR) * least, min(depth * (1 + DEPTH_ERROR), 1.0) * most


def in_force_on(rows: Iterable[SanctionRow], day: date) -> list[SanctionRow]:
    """Return the rows in force on a day."""
    return [row for row in rows if row.start <= day and (row.end is None or day < row.end)]


def change_days(rows: Sequence[SanctionRow], first: date, last: date | None) -> list[date]:
    """Return the first day of a window and every later day of it on which a measure begins or ends."""
    days = {day for row in rows for day in (row.start, row.end) if day is not None}
    return [first, *sorted(day for day in days if day > first and (last is None or day < last))]


def make_readings(
    rows: Sequence[SanctionRow], windows: Sequence[tuple[date, date | None]], spells: Sequence[date] = ()
) -> Iterator[IndicatorRow]:
    """Yield the readings of one country: wherever the severity changes, and at the start of a spell under sanctions.

    Parameters
    ----------
    rows : sequence of SanctionRow
        All of one country.
    windows : sequence of (first day, day after the last or None)
        The stretches of the country's frame.
    spells : sequence of date
        First days of leader spells.
    """
    before = severity([])
    for first, last in windows:
        starts = {first, *(day for day in spells if day > first and (last is None or day < last))}
        for day in sorted({*change_days(rows, first, last), *starts}):
            now = severity(in_force_on(rows, day))
            if now != before or (day in starts and now.value):
                yield _reading(rows, day, now)
            before = now


def _reading(rows: Sequence[SanctionRow], day: date, now: Severity) -> IndicatorRow:
    current = in_force_on(rows, day)
    begun, ended = [row for row in current if row.start == day], [row for row in rows if row.end == day]
    told = begun or ended or current
    phrases = [f"{row.senders}: {' '.join(row.measures)}" + (" end" if row in ended else "") for row in begun + ended]
    return IndicatorRow(
        country=rows[0].country, indicator="sanctions", observed_on=day, value=now.value, low=now.low, high=now.high,
        coder="A", basis="judgement", known_on=max([row.known_on for row in begun], default=day),
        sources=tuple(dict.fromkeys(key for row in told or rows for key in row.sources)),
        note="; ".join(phrases) or ("unchanged at start of spell" if current else "none any more"),
    )  # fmt: skip
