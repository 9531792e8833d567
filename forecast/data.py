"""A study's tables as labelled frames, seen as of a day.

`Data.as_of` is the one door to the past: what was not known, had not ended or had not begun by that
day is not in the view, so everything downstream is free of look-ahead by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.checks import Tables, check_tables, read_study
from forecast.errors import DataError, Problem, UsageError
from forecast.files import digest, locked, uncollected, write_atomically
from forecast.schema import TABLES, Codebook, Row
from forecast.tables import format_rows

if TYPE_CHECKING:
    import pandas as pd

EVENT_KEY = ["event_id"]
EVENT_ORDER = ["country", "start", "event_id"]
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
        tables = {
            name: getattr(self, name).to_csv(index=False) for name in ("countries", "leaders", "events", "indicators")
        }
        return digest(
            {**tables, "indicators.toml": self.codebook.model_dump()["indicators"], "known_to": self.known_to}
        )

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


def load_data(folder: Path | str) -> Data:
    """Read and check a study's `data` folder.

    Raises
    ------
    DataError
        With every problem at once, when the tables are damaged.
    """
    with uncollected():
        tables, problems = read_study(Path(folder))
        if tables is None:
            raise DataError(problems)
        if problems := check_tables(tables):
            raise DataError(problems)
        return _from_tables(tables).as_of(tables.coded_to)


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
    for name in ("start", "end", "entered", "observed_on", "known_on"):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name]).astype("datetime64[s]")
    frame["sources"] = frame["sources"].map(";".join) if "sources" in frame else ""
    return frame


def _inside(table: pd.DataFrame, column: str, states: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose day lies in a period of their country."""
    day, kept = table[column], table[column].isna()
    for state in states.itertuples():
        kept |= (table["country"] == state.country) & (day >= state.start) & ~(day >= state.end)
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


def append_rows(folder: Path, file: str, rows: Sequence[Row], *, dry_run: bool = False) -> None:
    """Append rows to a table: all of them or none, under the study's lock, in one step.

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

    Raises
    ------
    DataError
        When the tables with the new rows break a rule; nothing is written then.
    """
    with locked(folder):
        tables, problems = read_study(folder)
        if tables is None:
            raise DataError(problems)
        path = folder / file
        text = path.read_text(encoding="utf-8")
        first = text.count("\n") + 1
        name = file.removesuffix(".csv")
        added = tuple((first + offset, row) for offset, row in enumerate(rows))
        if problems := check_tables(replace(tables, **{name: getattr(tables, name) + added})):
            raise DataError(_only_new(problems, file, first))
        if not dry_run:
            write_atomically(path, text + format_rows(list(rows)))


def _only_new(problems: list[Problem], file: str, first: int) -> list[Problem]:
    """Name the new rows as such: they are not in the file, so their row numbers mislead."""
    return [
        replace(problem, file=f"new row {problem.row - first + 1} for {file}", row=None)
        if problem.file == file and problem.row is not None and problem.row >= first
        else problem
        for problem in problems
    ]
