"""Ethnic Power Relations: groups shut out of the state's power (Vogt et al. 2015).

The publisher has a row for each group and span of years; a copy by country and year has the sums.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecast.importers.columns import Columns, by_year, integers, numbers, read_layout

SUMS: Columns = {
    "state": ("gwcode",),
    "year": ("year",),
    "groups": ("epr_groups",),
    "excluded_groups": ("epr_excluded_groups_count",),
    "excluded": ("epr_excluded_group_pop",),
}
GROUPS: Columns = {
    "state": ("gwid",),
    "first": ("from",),
    "last": ("to",),
    "group": ("group",),
    "size": ("size",),
    "status": ("status",),
}
LAYOUTS = (SUMS, GROUPS)
EXCLUDED = ("POWERLESS", "DISCRIMINATED", "SELF-EXCLUSION")


def read(path: Path) -> pd.DataFrame:
    """Return the share of a population that is shut out of power, by year.

    Returns
    -------
    pandas.DataFrame
        ``state``, ``year``, ``groups``, ``excluded_groups`` (numbers of groups), ``excluded`` (share of the
        population, 0 to 1).
    """
    table, layout = read_layout(path, "epr", LAYOUTS)
    if layout == 1:
        return _sums(table)
    return pd.DataFrame(
        {
            "state": integers(table, "state"),
            "year": integers(table, "year"),
            "groups": integers(table, "groups"),
            "excluded_groups": integers(table, "excluded_groups"),
            "excluded": numbers(table, "excluded"),
        }
    )


def _sums(table: pd.DataFrame) -> pd.DataFrame:
    out = table["status"].str.upper().isin(EXCLUDED)
    size = numbers(table, "size")
    groups = pd.DataFrame(
        {
            "state": integers(table, "state"),
            "first": integers(table, "first"),
            "last": integers(table, "last"),
            "groups": 1,
            "excluded_groups": out.astype(int),
            "excluded": size.where(out, 0.0),
        }
    )
    yearly = by_year(groups, "first", "last").groupby(["state", "year"], as_index=False).sum()
    return yearly.astype({"groups": "Int64", "excluded_groups": "Int64"})
