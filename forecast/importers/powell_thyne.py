"""Coup attempts since 1950 (Powell & Thyne 2011)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, day_from_parts, integers, read_layout

BARE: Columns = {"state": ("ccode",), "year": ("year",), "month": ("month",), "day": ("day",), "coup": ("coup",)}
LAYOUTS: tuple[Columns, ...] = ({**BARE, "version": ("version",)}, BARE)


def read(path: Path) -> pd.DataFrame:
    """Return coup attempts.

    Returns
    -------
    pandas.DataFrame
        ``id`` (state number and day), ``state``, ``day``, ``successful`` (power held for a week), ``issued`` (day of the
        file's version; missing where it does not say).
    """
    table, layout = read_layout(path, "powell_thyne", LAYOUTS)
    state, day = integers(table, "state"), day_from_parts(table, "year", "month", "day")
    return pd.DataFrame(
        {
            "id": state.astype(str) + "-" + day.dt.strftime("%Y-%m-%d"),
            "state": state,
            "day": day,
            "successful": integers(table, "coup") == 2,
            "issued": pd.NaT if layout else _version_day(table["version"]),
        }
    )


def _version_day(versions: pd.Series) -> pd.Series:
    """Return the day in a version such as V2020.10.13."""
    text = versions.str.extract(r"(\d{4}\.\d{1,2}\.\d{1,2})", expand=False)
    return pd.to_datetime(text, format="%Y.%m.%d", errors="coerce").astype("datetime64[s]")
