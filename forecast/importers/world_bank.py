"""The World Bank's own export: a row for each country and series, a column for each year."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from forecast.errors import UsageError
from forecast.importers.columns import NO_NUMBER, numbers, read_columns, read_header
from forecast.importers.names import numbers_of_codes

HEADER_LINES = 8  # the header stands after a few lines on the file itself
COUNTRY, SERIES = ("Country Code",), ("Indicator Code", "Series Code")


def read_export(path: Path, series: Mapping[str, str]) -> pd.DataFrame | None:
    """Return series of an export by state and year, or None where the file is no export.

    Parameters
    ----------
    series : mapping
        Our name of each series by the World Bank's code.

    Raises
    ------
    UsageError
        When the export lacks one of the series.
    """
    skip = _header_line(path)
    if skip is None:
        return None
    separator, header = read_header(path, skip)
    code, which = (next((name for name in header if name in names), None) for names in (COUNTRY, SERIES))
    years = {name: int(name[:4]) for name in header if re.fullmatch(r"\d{4}( \[YR\d{4}\])?", name)}
    if code is None or which is None or not years:
        return None
    table = read_columns(path, separator, [code, which, *years], skip)
    if absent := sorted(set(series) - set(table[which])):
        raise UsageError(
            f"{path} is a World Bank export without the series {', '.join(absent)}; add them to the export"
        )
    rows = table[table[which].isin(list(series))].melt([code, which], list(years), "year", "value")
    states = numbers_of_codes()
    rows = rows[rows[code].isin(list(states))]
    rows = rows.assign(
        state=rows[code].map(states), year=rows["year"].map(years), value=numbers(rows, "value", NO_NUMBER)
    )
    wide = rows.pivot_table("value", ["state", "year"], which, aggfunc="first", dropna=True).rename(
        columns=dict(series)
    )
    return wide.rename_axis(columns=None).reset_index().astype({"state": "Int64", "year": "Int64"})


def _header_line(path: Path) -> int | None:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in zip(range(HEADER_LINES), file, strict=False):
                if line.replace('"', "").startswith("Country Name"):
                    return number
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return None
