"""What every importer needs: find the columns under any of their names, and type them.

A file is read as text first. Nothing is guessed: a file without the columns is refused by name, and a
cell that is neither a value nor a missing code is reported with its row.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import DataError, Problem, UsageError
from forecast.importers import REGISTRY
from forecast.schema import SPREADSHEET_EPOCH

Columns = dict[str, tuple[str, ...]]  # our name: the names it has in the publisher's and in other copies

MISSING = (
    "",
    "NA",
    "NaN",
    "nan",
    ".",
    "..",
    "-7",
    "-8",
    "-9",
    "-99",
    "-999",
    "-7.0",
    "-8.0",
    "-9.0",
    "-99.0",
    "-999.0",
)
NO_NUMBER = ("", "NA", "NaN", "nan", ".", "..")  # where a negative number is a number, such as growth


def read_layout(path: Path, dataset: str, layouts: Sequence[Columns], skip: int = 0) -> tuple[pd.DataFrame, int]:
    """Return the columns of a file as text under our names, and which of the data set's layouts it has.

    Parameters
    ----------
    skip : int
        Lines before the header.

    Raises
    ------
    UsageError
        When the file is no text table or has none of the layouts; names the columns that are missing
        and the data set whose columns these are.
    """
    separator, header = read_header(path, skip)
    found = [_names(header, columns) for columns in layouts]
    for number, (names, missing) in enumerate(found):
        if not missing:
            table = read_columns(path, separator, list(names), skip)
            return table.set_axis(list(names.values()), axis=1), number
    missing = min((missing for _, missing in found), key=len)
    guess = _looks_like(header)
    hint = f"; it looks like {guess}" if guess else ""
    raise UsageError(f"{path} is not a {dataset} file: it has no column {', '.join(missing)}{hint}")


def read_header(path: Path, skip: int = 0) -> tuple[str, list[str]]:
    """Return the separator and the column names of a text table; some publishers' files are too wide to read whole."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            line = next(islice(file, skip, None), "")
        if "\0" in line or not line.strip():
            raise UsageError(f"{path} is no text table; save it as CSV")
        separator = max(",\t;", key=line.count)
        return separator, list(_text(path, separator, skip, nrows=0).columns)
    except (OSError, pd.errors.ParserError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def read_columns(path: Path, separator: str, names: Sequence[str], skip: int = 0) -> pd.DataFrame:
    """Return some columns of a text table as text without blanks and stray quotation marks at their ends."""
    try:
        raw = _text(path, separator, skip, usecols=list(names))[list(names)]
    except (OSError, pd.errors.ParserError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return raw.apply(lambda column: column.str.strip().str.strip('"'))


def _text(path: Path, separator: str, skip: int, **kwargs: Any) -> pd.DataFrame:
    form = {"dtype": str, "keep_default_na": False, "encoding": encoding(path)}
    table: pd.DataFrame = pd.read_csv(path, sep=separator, skiprows=skip, **form, **kwargs)
    return table


def encoding(path: Path) -> str:
    """Return the encoding of a file: UTF-8, or the older Western one of some publishers' files."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                decoder.decode(part)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _names(header: Sequence[str], columns: Columns) -> tuple[dict[str, str], list[str]]:
    present = {name.strip().lower(): name for name in header}
    names, missing = {}, []
    for ours, accepted in columns.items():
        theirs = next((present[name.lower()] for name in accepted if name.lower() in present), None)
        if theirs is None:
            missing.append(" or ".join(accepted))
        else:
            names[theirs] = ours
    return names, missing


def _looks_like(header: Sequence[str]) -> str | None:
    """Return the data set that has a layout with the most of these columns."""
    fitting: dict[str, int] = {}
    for name in REGISTRY:
        layouts: Iterable[Columns] = import_module(f"forecast.importers.{name}").LAYOUTS
        sizes = [len(columns) for columns in layouts if not _names(header, columns)[1]]
        if sizes:
            fitting[name] = max(sizes)
    return max(fitting, key=lambda name: fitting[name], default=None)


def numbers(table: pd.DataFrame, column: str, missing: Sequence[str] = MISSING) -> pd.Series:
    """Return a column of numbers; missing codes such as -9 become NA."""
    text = table[column].where(~table[column].isin(missing))
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


def american_days(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of dates such as 3/10/1952, or the serials that a spreadsheet makes of them."""
    text = table[column].where(~table[column].isin(MISSING))
    serials = pd.to_numeric(text, errors="coerce")
    counted = pd.Timestamp(SPREADSHEET_EPOCH) + pd.to_timedelta(serials, unit="D")
    written = pd.to_datetime(text.mask(serials.notna()), format="%m/%d/%Y", errors="coerce")
    values = written.fillna(counted)
    _refuse(table, column, text.notna() & values.isna(), "is not a date such as 3/10/1952")
    return values.astype("datetime64[s]")


def flags(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of 0 and 1, or of True and False, as booleans with NA."""
    text = table[column].str.lower().replace({"true": "1", "false": "0"})
    return numbers(table.assign(**{column: text}), column).ne(0)


def by_year(rows: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    """Return one row for each year from one column to another, as ``year``."""
    spans = [range(a, b + 1) for a, b in zip(rows[first], rows[last], strict=True)]
    years = rows.drop(columns=[first, last]).assign(year=spans).explode("year").dropna(subset="year")
    return years.astype({"year": "Int64"}).reset_index(drop=True)


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
