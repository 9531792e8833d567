"""National Material Capabilities of the Correlates of War (Singer 1987)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, numbers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {"state": ("ccode",), "year": ("year",), "milper": ("milper",), "tpop": ("tpop",), "cinc": ("cinc",)},
)


def read(path: Path) -> pd.DataFrame:
    """Return population, armed forces and the capability index.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``population`` and ``personnel`` (persons; the file has thousands), ``cinc``
        (share of the world's capabilities).
    """
    table, _ = read_layout(path, "nmc", LAYOUTS)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            "population": numbers(table, "tpop") * 1000,
            "personnel": numbers(table, "milper") * 1000,
            "cinc": numbers(table, "cinc"),
        }
    )
