"""National Material Capabilities of the Correlates of War (Singer 1987)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, integers, numbers, read_layout

LAYOUTS: tuple[Columns, ...] = (
    {name: (name if name != "state" else "ccode",) for name in ("state", "year", "milex", "milper", "tpop", "cinc")},
)


def read(path: Path) -> pd.DataFrame:
    """Return population, armed forces, their cost and the capability index.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``population`` and ``personnel`` (persons; the file has thousands), ``spending``
        (thousands, pounds to 1913 and dollars from 1914, of the year), ``cinc`` (share of the world's capabilities).
    """
    table, _ = read_layout(path, "nmc", LAYOUTS)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            "population": numbers(table, "tpop") * 1000,
            "personnel": numbers(table, "milper") * 1000,
            "spending": numbers(table, "milex"),
            "cinc": numbers(table, "cinc"),
        }
    )
