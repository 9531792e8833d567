"""What every importer needs: find the columns under any of their names, and type them.

A file is read as text first. Nothing is guessed: a file without the columns is refused by name, and a
cell that is neither a value nor a missing code is reported with its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError, Problem, UsageError
from forecast.importers import REGISTRY

Columns = dict[str, tuple[str, ...]]  # our name: the names it has in the publisher's and in other copies

MISSING = ("", "NA", "NaN", ".", "-7", "-8", "-9", "-9.0", "-99", "-999")


def read_layout(path: Path, dataset: str, layouts: Sequence[Columns]) -> tuple[pd.DataFrame, int]:
    """Return the columns of a file as text under our names, and which of the data set's layouts it has.

    Raises
    ------
    UsageError
        When the file is no text table or has none of the layouts; names the columns that are missing
        and the data set whose columns these are.
    """
    raw = _read_text(path)
    found = [_names(raw, columns) for columns in layouts]
    for number, (names, missing) in enumerate(found):
        if not missing:
            return raw[list(names)].set_axis(list(names.values()), axis=1), number
    missing = min((missing for _, missing in found), key=len)
    guess = _looks_like(raw)
    hint = f"; it looks like {guess}" if guess else ""
    raise UsageError(f"{path} is not a {dataset} file: it has no column {', '.join(missing)}{hint}")


def _read_text(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            header = file.readline()
        if "\0" in header or not header.strip():
            raise UsageError(f"{path} is no text table; save it as CSV")
        separator = max(",\t;", key=header.count)
        raw = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding_errors="replace")
    except (OSError, pd.errors.ParserError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return raw.apply(lambda column: column.str.strip().str.strip('"'))


def _names(raw: pd.DataFrame, columns: Columns) -> tuple[dict[str, str], list[str]]:
    present = {name.lower(): name for name in raw.columns}
    names, missing = {}, []
    for ours, accepted in columns.items():
        theirs = next((present[name.lower()] for name in accepted if name.lower() in present), None)
        if theirs is None:
            missing.append(" or ".join(accepted))
        else:
            names[theirs] = ours
    return names, missing


def _looks_like(raw: pd.DataFrame) -> str | None:
    for name in REGISTRY:
        layouts: Iterable[Columns] = import_module(f"forecast.importers.{name}").LAYOUTS
        if any(not _names(raw, columns)[1] for columns in layouts):
            return name
    return None


def numbers(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of numbers; missing codes such as -9 become NA."""
    text = table[column].where(~table[column].isin(MISSING))
    values = pd.to_numeric(text, errors="coerce").astype("Float64")
    _refuse(table, column, text.notna() & values.isna(), "is not a number")
    return values


def integers(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of whole numbers; missing codes become NA."""
    return numbers(table, column).astype("Int64")


def days(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of ISO dates as datetime64; blanks and missing codes become NaT."""
    text = table[column].where(~table[column].isin(MISSING))
    values = pd.to_datetime(text, format="ISO8601", errors="coerce")
    _refuse(table, column, text.notna() & values.isna(), "is not an ISO date")
    return values.astype("datetime64[s]")


def day_from_parts(table: pd.DataFrame, year: str, month: str, day: str) -> pd.Series:
    """Return dates from three columns; NaT where one of them is unknown (missing code or 0)."""
    return _assemble(integers(table, year), integers(table, month), integers(table, day))


def month_end(table: pd.DataFrame, year: str, month: str) -> pd.Series:
    """Return the last day of a month from two columns; NaT where one of them is unknown."""
    following = _assemble(integers(table, year), integers(table, month), 1) + pd.DateOffset(months=1)
    return (following - np.timedelta64(1, "D")).astype("datetime64[s]")


def _assemble(years: pd.Series, months: pd.Series | int, days: pd.Series | int) -> pd.Series:
    parts = pd.DataFrame({"year": years, "month": months, "day": days}).fillna(0)  # no day of the calendar
    return pd.to_datetime(parts, errors="coerce").astype("datetime64[s]")


def year_start(years: pd.Series) -> pd.Series:
    """Return the first day of each year."""
    return _assemble(years, 1, 1)


def year_end(years: pd.Series) -> pd.Series:
    """Return the last day of each year."""
    return year_start(years + 1) - np.timedelta64(1, "D")


def _refuse(table: pd.DataFrame, column: str, bad: pd.Series, message: str) -> None:
    rows = table.index[bad]
    if len(rows):
        raise DataError(
            [Problem("public data", int(i) + 2, column, table.at[i, column], message, "restore the file") for i in rows]
        )
