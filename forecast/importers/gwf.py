"""Autocratic regimes by country and year, as on 1 January (Geddes, Wright & Frantz 2014).

The publisher's file of autocracies has no column for the other years; the one of all regimes has.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import MISSING, Columns, integers, read_layout

AUTOCRACIES: Columns = {
    "state": ("cowcode", "gwf_cowcode"),
    "year": ("year",),
    "type": ("gwf_regimetype",),
    "case": ("gwf_casename",),
    "years": ("gwf_duration",),
    "fails": ("gwf_fail",),
}
ALL: Columns = {**AUTOCRACIES, "nonautocracy": ("gwf_nonautocracy",)}
LAYOUTS = (ALL, AUTOCRACIES)


def read(path: Path) -> pd.DataFrame:
    """Return regimes.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``regime`` (``autocracy`` or ``democracy``; missing in warlord, provisional and occupied
        years), ``type`` (such as ``party-personal``; in other years what they are), ``case``, ``years`` (of the
        regime), ``fails`` (the regime ends in this year; known only afterwards).
    """
    table, layout = read_layout(path, "gwf", LAYOUTS)
    other = table["nonautocracy"] if layout == 0 else pd.Series("", table.index)
    autocracy = other.isin(MISSING) & ~table["type"].isin(MISSING)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            "regime": pd.Series("autocracy", table.index)
            .where(autocracy, None)
            .mask(other == "democracy", "democracy"),
            "type": table["type"].where(autocracy, other),
            "case": table["case"],
            "years": integers(table, "years"),
            "fails": integers(table, "fails") == 1,
        }
    )
