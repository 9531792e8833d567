"""Coup attempts since 1950 (Powell & Thyne 2011)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, day_from_parts, integers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {"state": ("ccode",), "year": ("year",), "month": ("month",), "day": ("day",), "coup": ("coup",)},
)


def read(path: Path) -> pd.DataFrame:
    """Return coup attempts.

    Returns
    -------
    pandas.DataFrame
        ``id`` (state number and day), ``state``, ``day``, ``successful`` (power held for a week).
    """
    table, _ = read_layout(path, "powell_thyne", LAYOUTS)
    state, day = integers(table, "state"), day_from_parts(table, "year", "month", "day")
    return pd.DataFrame(
        {
            "id": state.astype(str) + "-" + day.dt.strftime("%Y-%m-%d"),
            "state": state,
            "day": day,
            "successful": integers(table, "coup") == 2,
        }
    )
