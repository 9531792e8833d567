"""Infant mortality of the World Development Indicators (World Bank)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import NO_NUMBER, Columns, flags, integers, numbers, read_layout
from forecast.importers.world_bank import read_export

LAYOUTS: tuple[Columns, ...] = (
    {
        "state": ("gwcode",),
        "year": ("year",),
        "deaths": ("infmort",),
        "relative": ("infmort_yearadj",),
        "imputed": ("infmort_imputed",),
    },
)


def read(path: Path) -> pd.DataFrame:
    """Return infant mortality; the World Bank's own export and copies by state number both work.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``deaths`` (per 1,000 live births), and in a copy ``relative`` (standardised within the
        year) and ``imputed``.
    """
    export = read_export(path, {"SP.DYN.IMRT.IN": "deaths"})
    if export is not None:
        return export
    table, _ = read_layout(path, "infant_mortality", LAYOUTS)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            "deaths": numbers(table, "deaths"),
            "relative": numbers(table, "relative", NO_NUMBER),
            "imputed": flags(table, "imputed"),
        }
    )
