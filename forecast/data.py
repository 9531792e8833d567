"""A study's tables as labelled frames, seen as of a day.

`Data.as_of` is the one door to the past: what was not known, had not ended or had not begun by that
day is not in the view, so everything downstream is free of look-ahead by construction.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import forecast
from forecast.checks import Tables, check_tables, read_study
from forecast.errors import DataError, Problem, UsageError
from forecast.files import digest, locked, remove_leftovers, uncollected, write_atomically
from forecast.schema import TABLES, Codebook, Row, read_codebook
from forecast.tables import format_rows

if TYPE_CHECKING:
    import pandas as pd

EVENT_KEY = ["event_id"]
EVENT_ORDER = ["country", "start", "event_id"]
TABLE_NAMES = ("countries", "leaders", "events", "indicators")
DATES = ("start", "end", "entered", "observed_on", "known_on")
CODEBOOK, SOUND = "codebook.toml", "sound"
READING_KEY = ["country", "indicator", "observed_on", "coder"]


@dataclass(frozen=True, eq=False)
class Data:
    """The tables of a study as known on a day.

    Attributes
    ----------
    countries, leaders, events, indicators : pandas.DataFrame
        The tables, dates as datetime64, one row per current fact (corrections applied).
    codebook : Codebook
        What the indicators mean.
    known_to : date
        Last day observed: exposure ends with this day.
    corrected : mapping of str to pandas.DataFrame
        Earlier versions of events and indicators that a row of the table has corrected: a view of a day
        before the correction needs them.
    """

    countries: pd.DataFrame
    leaders: pd.DataFrame
    events: pd.DataFrame
    indicators: pd.DataFrame
    codebook: Codebook
    known_to: date
    corrected: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in this view; rows known later do not change it."""
        tables = {name: getattr(self, name).to_csv(index=False) for name in TABLE_NAMES}
        return digest(
            {**tables, "indicators.toml": self.codebook.model_dump()["indicators"], "known_to": self.known_to}
        )

    @cached_property
    def readings(self) -> dict[str, pd.DataFrame]:
        """The readings of each indicator that has any."""
        return {str(name): own for name, own in self.indicators.groupby("indicator")}

    def readings_of(self, name: str) -> pd.DataFrame:
        """Return the readings of one indicator."""
        return self.readings.get(name, self.indicators.iloc[:0])

    def as_of(self, day: date | str) -> Data:
        """Return the study as it could be known at the end of a day.

        Parameters
        ----------
        day : date or str
            ISO date; not after `known_to`.

        Raises
        ------
        UsageError
            When the day is no date, lies before the data or after the last coded day.
        """
        day = parse_day(day)
        if day > self.known_to:
            raise UsageError(
                f"the data end on {self.known_to}, so nothing can be said as of {day}; code to that day first"
            )
        stamp = _stamp(day)
        if not (self.leaders["start"] <= stamp).any():
            raise UsageError(f"the data begin on {self.leaders['start'].min().date()}, after {day}")
        events, older_events = self._versions("events", EVENT_KEY, EVENT_ORDER, stamp)
        readings, older_readings = self._versions("indicators", READING_KEY, READING_KEY, stamp)
        return replace(
            self,
            countries=_until(self.countries[self.countries["start"] <= stamp], stamp),
            leaders=_until(self.leaders[self.leaders["start"] <= stamp], stamp, exit="in_office"),
            events=_until(events, stamp, result="ongoing"),
            indicators=readings[readings["observed_on"] <= stamp].reset_index(drop=True),
            known_to=day,
            corrected={"events": older_events, "indicators": older_readings},
        )

    def _versions(
        self, name: str, key: list[str], order: list[str], stamp: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return each row of a table as known on a day, and its earlier versions.

        The rows come in an order of their own, so a correction does not move them.
        """
        import pandas as pd

        rows = getattr(self, name)
        if name in self.corrected:
            older = self.corrected[name]
            own = pd.MultiIndex.from_frame(older[key]).isin(pd.MultiIndex.from_frame(rows[key]))
            rows = pd.concat([older[own], rows]) if own.any() else rows
        known = rows[rows["known_on"] <= stamp].sort_values("known_on", kind="stable")
        corrected = known.duplicated(key, keep="last")
        return known[~corrected].sort_values(order, kind="stable").reset_index(drop=True), known[corrected]

    def in_frames(self, frames: Sequence[str]) -> Data:
        """Return only the leader-days of some sampling frames, or this view if none is named.

        Raises
        ------
        UsageError
            When a frame is not in the data of this view at all.
        """
        if not frames:
            return self
        states = self.countries[self.countries["frame"].isin(list(frames))]
        if states.empty:
            known = ", ".join(sorted(self.countries["frame"].unique()))
            raise UsageError(f"frames {', '.join(frames)} have no country on {self.known_to}; known are {known}")
        return replace(
            self,
            countries=states.reset_index(drop=True),
            leaders=_inside(self.leaders, "start", states),
            events=_inside(self.events, "start", states),
            indicators=_inside(self.indicators, "observed_on", states),
        )

    def in_office(self, country: str) -> pd.Series:
        """Return the spell in office in a country on the last day of the view.

        Raises
        ------
        UsageError
            When the country is not in the data or has no leader on that day.
        """
        if country not in set(self.countries["country"]):
            known = ", ".join(sorted(self.countries["country"].unique()))
            raise UsageError(f"country {country!r} is not in the data as of {self.known_to}; known are {known}")
        own = self.leaders[(self.leaders["country"] == country) & self.leaders["end"].isna()]
        if own.empty:
            raise UsageError(f"no leader of {country} is in the data on {self.known_to}")
        return own.iloc[-1]


def parse_day(day: date | str) -> date:
    """Return a date from an ISO string.

    Examples
    --------
    >>> parse_day("2022-03-31")
    datetime.date(2022, 3, 31)
    """
    if isinstance(day, date):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise UsageError(f"{day!r} is not a date; write YYYY-MM-DD") from None


def load_data(folder: Path | str, kept: Path | None = None) -> Data:
    """Read and check a study's `data` folder.

    Parameters
    ----------
    folder : Path or str
    kept : Path, optional
        A folder in which the last sound files are remembered by their digests: they are not checked again, and the digest
        of the view, which takes as long as reading it, is that of then.

    Raises
    ------
    DataError
        With every problem at once, when the tables are damaged.
    """
    folder = Path(folder)
    if kept is not None and (known := _read_known(folder, kept)) is not None:
        return known
    before = _contents(folder)
    with uncollected():
        tables, problems = read_study(folder)
        if tables is None:
            raise DataError(problems)
        if problems := check_tables(tables):
            raise DataError(problems)
        data = view_tables(tables)
    if kept is not None and before is not None and before == _contents(folder):
        _remember(before, data, kept)
    return data


def view_tables(tables: Tables) -> Data:
    """Return sound tables as of the last coded day."""
    return _from_tables(tables).as_of(tables.coded_to)


def _contents(folder: Path) -> dict[str, bytes] | None:
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
        return {path.name: path.read_bytes() for path in files}
    except OSError:
        return None


def _read_known(folder: Path, kept: Path) -> Data | None:
    """Return the view that the tables hold if exactly these files were found sound before."""
    contents, stamp = _contents(folder), kept / SOUND
    if contents is None or not set(TABLES) <= set(contents) or not stamp.is_file():
        return None
    files, _, own = stamp.read_text(encoding="utf-8").partition(" ")
    if files != _stamp_of(contents) or not own:
        return None
    texts = {file.removesuffix(".csv"): contents[file].decode() for file in TABLES}
    data = unpack(texts, read_codebook(folder / CODEBOOK))
    vars(data)["digest"] = own
    return data


def _stamp_of(contents: Mapping[str, bytes]) -> str:
    hashed = {name: hashlib.sha256(raw).hexdigest() for name, raw in contents.items()}
    return digest({**hashed, "version": forecast.__version__, "day": date.today()})  # a day in the future may be wrong


def _remember(contents: Mapping[str, bytes], data: Data, kept: Path) -> None:
    try:
        write_atomically(kept / SOUND, f"{_stamp_of(contents)} {data.digest}")
    except OSError:
        return  # a study that cannot be written to is checked every time


def pack(data: Data) -> dict[str, str]:
    """Return the tables of a view as CSV; `unpack` turns them back."""
    return {name: getattr(data, name).to_csv(index=False) for name in TABLE_NAMES}


def unpack(tables: Mapping[str, str], codebook: Codebook, known_to: date | None = None) -> Data:
    """Return the view that sound tables in CSV hold, without checking them again.

    Parameters
    ----------
    tables : mapping of str to str
        From the name of a table to its text.
    codebook : Codebook
    known_to : date, optional
        Day of the view; the last coded day if not given.
    """
    frames = {name: _parse_frame(TABLES[f"{name}.csv"], tables[name]) for name in TABLE_NAMES}
    day = known_to or codebook.study.coded_to
    return Data(codebook=codebook, known_to=day, **frames).as_of(day)


def _parse_frame(row_type: type[Row], text: str) -> pd.DataFrame:
    import pandas as pd

    numbers = [name for name, field in row_type.model_fields.items() if field.annotation is float]
    flags = [name for name, field in row_type.model_fields.items() if field.annotation is bool]
    read = pd.read_csv(io.StringIO(text), dtype="str", keep_default_na=False)
    if read.empty:
        return table_frame(row_type, ())
    for name in numbers:
        read[name] = read[name].to_numpy(dtype=object).astype(float)  # to the last digit
    for name in flags:
        read[name] = read[name].isin(["1", "True"])
    for name in DATES:
        if name in read:
            read[name] = pd.to_datetime(read[name].replace("", None), format="ISO8601").astype("datetime64[s]")
    read["sources"] = read["sources"] if "sources" in row_type.model_fields else ""
    return read


def _from_tables(tables: Tables) -> Data:
    frames = {
        file.removesuffix(".csv"): table_frame(row_type, [row for _, row in getattr(tables, file.removesuffix(".csv"))])
        for file, row_type in TABLES.items()
    }
    return Data(codebook=tables.codebook, known_to=tables.coded_to, **frames)


def table_frame(row_type: type[Row], rows: Sequence[Row]) -> pd.DataFrame:
    """Return typed rows as a frame: dates as datetime64, sources joined by semicolons."""
    import pandas as pd

    frame = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in row_type.model_fields})
    for name in DATES:
        if name in frame:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
    frame["sources"] = frame["sources"].map(";".join) if "sources" in frame else ""
    return frame


def _inside(table: pd.DataFrame, column: str, states: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose day lies in a period of their country."""
    import numpy as np

    day = table[column].to_numpy(dtype="datetime64[s]")
    kept, rows = np.isnat(day), table.groupby("country").indices
    periods = (states[name].to_numpy(dtype="datetime64[s]") for name in ("start", "end"))
    for country, start, end in zip(states["country"], *periods, strict=True):
        own = rows.get(country, [])
        kept[own] |= (day[own] >= start) & ~(day[own] >= end)
    return table[kept].reset_index(drop=True)


def _stamp(day: date) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(day)


def _until(frame: pd.DataFrame, stamp: pd.Timestamp, **unknown: str) -> pd.DataFrame:
    """Hide ends after a day, and what only the end tells."""
    import pandas as pd

    later = frame["end"] > stamp
    hidden = frame.assign(end=frame["end"].mask(later, pd.NaT))
    return hidden.assign(**{name: hidden[name].mask(later, value) for name, value in unknown.items()}).reset_index(
        drop=True
    )


def append_rows(
    folder: Path, file: str, rows: Sequence[Row], *, dry_run: bool = False, kept: Path | None = None
) -> tuple[int, Tables]:
    """Append rows to a table: all of them or none, under the study's lock, in one step.

    A row that stands in the table already, in every column, is left out: adding twice is adding once.

    Parameters
    ----------
    folder : Path
        The study's `data` folder.
    file : str
        Name of the table, such as ``indicators.csv``.
    rows : sequence of Row
        Typed rows of that table.
    dry_run : bool
        Check only.
    kept : Path, optional
        As for `load_data`.

    Returns
    -------
    added : int
        How many rows are new.
    tables : Tables
        The study with them.

    Raises
    ------
    DataError
        When the tables with the new rows break a rule; nothing is written then.
    """
    with locked(folder):
        before = _contents(folder)
        tables, problems = read_study(folder)
        if tables is None:
            raise DataError(problems)
        path, name = folder / file, file.removesuffix(".csv")
        remove_leftovers(path)
        text = path.read_text(encoding="utf-8")
        first = text.count("\n") + 1
        known = {row for _, row in getattr(tables, name)}
        new = [row for row in dict.fromkeys(rows) if row not in known]
        grown = replace(tables, **{name: getattr(tables, name) + tuple(enumerate(new, start=first))})
        if problems := check_tables(grown):
            raise DataError(_only_new(problems, file, first))
        if new and not dry_run:
            write_atomically(path, text + format_rows(new))
            checked = {**(before or {}), file: (text + format_rows(new)).encode()}
            if kept is not None and checked == _contents(folder):  # a hand may have written to another file meanwhile
                _remember(checked, view_tables(grown), kept)
    return len(new), grown


def move_coded_to(folder: Path, day: date) -> None:
    """State that a study is coded to a later day: the one line of the codebook is replaced, under the study's lock.

    Raises
    ------
    DataError
        When the tables with that day break a rule; nothing is written then.
    UsageError
        When the day is not later than the last coded one.
    """
    with locked(folder):
        tables, problems = read_study(folder)
        if tables is None:
            raise DataError(problems)
        if day <= tables.coded_to:
            raise UsageError(f"the study is coded to {tables.coded_to}; give a later day than that")
        if day > date.today():
            raise UsageError(f"{day} is in the future; a study is coded to a day that is over")
        study = tables.codebook.study.model_copy(update={"coded_to": day})
        moved = replace(tables, codebook=tables.codebook.model_copy(update={"study": study}))
        if problems := check_tables(moved):
            raise DataError(problems)
        path = folder / CODEBOOK
        remove_leftovers(path)
        text = path.read_text(encoding="utf-8")
        line = re.compile(r"^(coded_to[ \t]*=[ \t]*)[0-9]{4}-[0-9]{2}-[0-9]{2}", flags=re.MULTILINE)
        write_atomically(path, line.sub(rf"\g<1>{day}", text, count=1))


def _only_new(problems: list[Problem], file: str, first: int) -> list[Problem]:
    """Name the new rows as such: they are not in the file, so their row numbers mislead."""
    return [
        replace(problem, file=f"new row {problem.row - first + 1} for {file}", row=None)
        if problem.file == file and problem.row is not None and problem.row >= first
        else problem
        for problem in problems
    ]
