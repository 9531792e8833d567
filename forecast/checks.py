"""The rules that a study's tables keep together: one rule, one function, one message.

Each rule takes the whole study as read and yields problems. `check_study` runs every rule that the
state of the files allows and returns all problems at once.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain, pairwise
from operator import attrgetter
from pathlib import Path

from pydantic import ValidationError

from forecast.errors import Problem
from forecast.files import uncollected
from forecast.sanctions import TOLERANCE, in_force_on, severity
from forecast.schema import (
    COMPUTED,
    TABLES,
    WORKINGS,
    Codebook,
    CountryRow,
    EventRow,
    IndicatorRow,
    LeaderRow,
    Row,
    SanctionRow,
    faults,
    read_codebook,
)
from forecast.tables import ROWS, cell, decode, read_table

MAKE_READINGS = "correct one of the two; python docs/sanctions.py makes the readings from the table"
REMOVALS = {"coup": "coup_attempt", "revolution": "uprising"}
FILE_OF: dict[type[Row], str] = {row_type: file for file, row_type in ROWS.items()}
DAYS = {
    kind: [day for day in ("start", "end", "observed_on", "known_on") if day in kind.model_fields] for kind in FILE_OF
}


@dataclass(frozen=True)
class Tables:
    """A study as read: typed rows with their line numbers, the codebook and the source keys."""

    countries: tuple[tuple[int, CountryRow], ...]
    leaders: tuple[tuple[int, LeaderRow], ...]
    events: tuple[tuple[int, EventRow], ...]
    indicators: tuple[tuple[int, IndicatorRow], ...]
    codebook: Codebook
    sources: frozenset[str]
    sanctions: tuple[tuple[int, SanctionRow], ...] = ()

    @property
    def coded_to(self) -> date:
        """Last day to which the tables are complete."""
        return self.codebook.study.coded_to

    @property
    def dated(self) -> tuple[tuple[tuple[int, LeaderRow | EventRow | IndicatorRow | SanctionRow], ...], ...]:
        """The rows of every table but the countries."""
        return self.leaders, self.events, self.indicators, self.sanctions

    @property
    def current_events(self) -> list[tuple[int, EventRow]]:
        """Each challenge as last corrected."""
        latest: dict[str, tuple[int, EventRow]] = {}
        for number, row in sorted(self.events, key=lambda pair: pair[1].known_on):
            latest[row.event_id] = (number, row)
        return list(latest.values())


def read_study(folder: Path) -> tuple[Tables | None, list[Problem]]:
    """Return the tables of a study's `data` folder and every problem found while reading them.

    The tables are None when something could not be read. Rules over whole tables would only add noise
    then, but every row that could be read is still held against the rules over single rows.
    """
    problems: list[Problem] = []
    read: dict[str, tuple[tuple[int, Row], ...]] = {}
    for file in (*TABLES, *(name for name in WORKINGS if (folder / name).is_file())):
        rows, found = read_table(folder / file)
        read[file.removesuffix(".csv")] = tuple(rows)
        problems += found
    codebook, found = _read_codebook(folder / "codebook.toml")
    problems += found
    sources, found = read_bibliography(folder / "sources.bib")
    problems += found
    if codebook is None or not sources:
        return None, problems
    tables = Tables(codebook=codebook, sources=sources, **read)  # type: ignore[arg-type]
    if problems:
        return None, problems + [problem for rule in ROW_RULES for problem in rule(tables)]
    return tables, []


def _read_codebook(path: Path) -> tuple[Codebook | None, list[Problem]]:
    try:
        return (codebook := read_codebook(path)), list(_codebook_rules(path.name, codebook))
    except OSError:
        return None, [
            Problem(path.name, None, None, None, "the file is missing", "restore it, or start with forecast init")
        ]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [
            Problem(path.name, None, None, None, f"is not TOML ({error})", "correct the syntax at that place")
        ]
    except ValidationError as error:
        return None, [
            Problem(path.name, None, column.removeprefix("indicators."), value, message, remedy)
            for column, value, message, remedy in faults(error)
        ]


def _codebook_rules(file: str, codebook: Codebook) -> Iterator[Problem]:
    last = codebook.study.coded_to
    if last > date.today():
        yield Problem(file, None, "study.coded_to", str(last), "is in the future", "write the last day that is coded")
    for name, entry in codebook.indicators.items():
        if (entry.role == "computed") != (name in COMPUTED):
            message = f"does not fit: the package computes {' and '.join(COMPUTED)}, and nothing else"
            yield Problem(file, None, f"{name}.role", entry.role, message, "correct the role or the name")


def read_bibliography(path: Path) -> tuple[frozenset[str], list[Problem]]:
    """Return the keys of a BibTeX file; only the keys matter to the checks."""
    if not path.is_file():
        return frozenset(), [Problem(path.name, None, None, None, "the file is missing", "restore it")]
    text, problems = decode(path.name, path.read_bytes())
    if text is None:
        return frozenset(), problems
    keys: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith("@") or re.match(r"@(comment|preamble|string)\b", line, flags=re.IGNORECASE):
            continue
        key = re.match(r"@\w+\{([^,\s]+),", line)
        if key is None:
            message, remedy = "is not the beginning of a BibTeX entry", "write @kind{key, and the fields"
            problems.append(Problem(path.name, number, None, line[:60], message, remedy))
        elif key[1] in keys:
            message = f"repeats the key of row {keys[key[1]]}"
            problems.append(Problem(path.name, number, "key", key[1], message, "rename or remove one entry"))
        else:
            keys[key[1]] = number
    if not keys and not problems:
        problems.append(Problem(path.name, None, None, None, "the file has no entry", "restore it"))
    return frozenset(keys), problems


def check_study(folder: Path) -> list[Problem]:
    """Return every problem of a study's `data` folder; an empty list means that it is sound."""
    with uncollected():
        tables, problems = read_study(folder)
        return problems if tables is None else check_tables(tables)


def check_tables(tables: Tables) -> list[Problem]:
    """Return every breach of a rule over typed tables."""
    return [problem for rule in RULES for problem in rule(tables)]


def _at(number: int, row: Row, column: str, message: str, remedy: str) -> Problem:
    return Problem(FILE_OF[type(row)], number, column, cell(getattr(row, column)), message, remedy)


def something_coded(tables: Tables) -> Iterator[Problem]:
    """A study has a country."""
    if not tables.countries:
        message = "has no rows, so there is nothing to forecast yet"
        yield Problem("countries.csv", None, None, None, message, "code countries.csv, then leaders.csv")


def unique_keys(tables: Tables) -> Iterator[Problem]:
    """A row's key stands once; a correction of an event or reading differs in known_on."""
    keys: list[tuple[str, tuple[tuple[int, Row], ...], tuple[str, ...]]] = [
        ("start", tables.countries, ("country", "start")),
        ("spell_id", tables.leaders, ("spell_id",)),
        ("event_id", tables.events, ("event_id", "known_on")),
        ("observed_on", tables.indicators, ("country", "indicator", "observed_on", "coder", "known_on")),
    ]
    for column, rows, names in keys:
        first: dict[object, int] = {}
        key_of = attrgetter(*names)
        for number, row in rows:
            before = first.setdefault(key_of(row), number)
            if before != number:
                message = f"repeats the key ({', '.join(names)}) of row {before}"
                yield _at(number, row, column, message, "delete one; a correction has a later known_on")


def one_code_one_country(tables: Tables) -> Iterator[Problem]:
    """A Gleditsch-Ward number stands for one country."""
    first: dict[str, tuple[int, str]] = {}
    for number, row in tables.countries:
        before, country = first.setdefault(row.gw_code, (number, row.country))
        if country != row.country:
            message = f"is the number of {country} in row {before}"
            yield _at(number, row, "gw_code", message, "correct the number or the country")


def known_countries(tables: Tables) -> Iterator[Problem]:
    """Every row is about a country of countries.csv."""
    known = {row.country for _, row in tables.countries}
    for number, row in chain(*tables.dated):
        if row.country not in known:
            yield _at(number, row, "country", "is not in countries.csv", "correct the code or add the country")


def matching_prefix(tables: Tables) -> Iterator[Problem]:
    """An identifier begins with its row's country and start year."""
    named: list[tuple[str, tuple[tuple[int, LeaderRow | EventRow], ...]]] = [
        ("spell_id", tables.leaders),
        ("event_id", tables.events),
    ]
    for column, rows in named:
        for number, row in rows:
            prefix = f"{row.country}-{row.start.year}-"
            if not getattr(row, column).startswith(prefix):
                message = f"does not begin with {prefix}"
                yield _at(number, row, column, message, "correct the identifier, country or start")


def sources_exist(tables: Tables) -> Iterator[Problem]:
    """Every source key of a row is in sources.bib."""
    message, remedy = "is not in sources.bib", "add the entry or correct the key"
    for number, row in chain(*tables.dated):
        for key in row.sources:
            if key not in tables.sources:
                yield Problem(FILE_OF[type(row)], number, "sources", key, message, remedy)


def dates_in_order(tables: Tables) -> Iterator[Problem]:
    """An end is not before its start, knowledge not before the fact, and nothing after coded_to."""
    last = tables.coded_to
    late = "correct the date, or move the last coded day with forecast add day once everything is coded to it"
    for number, row in chain(tables.countries, *tables.dated):
        days = {name: getattr(row, name) for name in DAYS[type(row)]}
        start, end, known = days.get("start", days.get("observed_on")), days.get("end"), days.get("known_on")
        if end is not None and start is not None and (end < start or (end == start and type(row) is not EventRow)):
            yield _at(number, row, "end", f"is not after the start {start}", "correct one of the two dates")
        if known is not None and start is not None and known < start:
            message = f"is before {start}, the day of the fact"
            yield _at(number, row, "known_on", message, "correct one of the two dates")
        for column, day in days.items():
            if day is not None and day > last:
                yield _at(number, row, column, f"is after the last coded day {last}", late)


@dataclass(frozen=True)
class Window:
    """An unbroken stretch of one country in one frame: periods of countries.csv that adjoin."""

    country: str
    frame: str
    start: date
    end: date | None
    number: int

    def holds(self, day: date) -> bool:
        """Return whether a day lies in the window."""
        return self.start <= day and (self.end is None or day < self.end)


def windows(tables: Tables) -> list[Window]:
    """Return the windows of every country, in order."""
    found: list[Window] = []
    for number, row in sorted(tables.countries, key=lambda pair: (pair[1].country, pair[1].start)):
        last = found[-1] if found else None
        if last is not None and (last.country, last.frame, last.end) == (row.country, row.frame, row.start):
            found[-1] = replace(last, end=row.end)
        else:
            found.append(Window(row.country, row.frame, row.start, row.end, number))
    return found


def _windows_of(tables: Tables) -> dict[str, list[Window]]:
    own: dict[str, list[Window]] = defaultdict(list)
    for window in windows(tables):
        own[window.country].append(window)
    return own


def spells_tile_frame(tables: Tables) -> Iterator[Problem]:
    """Every day of every window belongs to exactly one spell."""
    spells: dict[str, list[tuple[int, LeaderRow]]] = defaultdict(list)
    for number, row in sorted(tables.leaders, key=lambda pair: pair[1].start):
        spells[row.country].append((number, row))
    for window in windows(tables):
        own = [pair for pair in spells[window.country] if window.holds(pair[1].start)]
        spells[window.country] = [pair for pair in spells[window.country] if pair not in own]
        yield from _tiles(window, own)
    for number, row in chain(*spells.values()):
        message = f"is outside the frame of {row.country}"
        yield _at(number, row, "start", message, "correct the date or countries.csv")


def _tiles(window: Window, own: list[tuple[int, LeaderRow]]) -> Iterator[Problem]:
    if not own:
        message = f"has no leader spell from {window.start} to {window.end or 'now'}"
        remedy = "code its leaders in leaders.csv"
        yield Problem("countries.csv", window.number, "country", window.country, message, remedy)
        return
    (number, first), (_, last) = own[0], own[-1]
    if first.start != window.start:
        message = f"the frame of {window.country} begins on {window.start}"
        yield _at(number, first, "start", message, "start the first spell on that day")
    for (_, before), (number, after) in pairwise(own):
        if before.end != after.start:
            kind = "overlaps" if before.end is None or before.end > after.start else "leaves a gap after"
            message = f"{kind} the spell {before.spell_id}, which ends {before.end or 'never'}"
            yield _at(number, after, "start", message, "let each spell begin on the day the last one ends")
    for number, row in own[:-1]:
        if row.exit == "frame_end":
            message = f"the frame of {window.country} goes on after {row.end}"
            yield _at(number, row, "exit", message, "write how the leader left")
    if last.end != window.end:
        message = f"the frame of {window.country} ends {window.end or 'never'}"
        yield _at(own[-1][0], last, "end", message, "end the last spell on that day")


def periods_apart(tables: Tables) -> Iterator[Problem]:
    """The periods of one country do not overlap."""
    periods = sorted(tables.countries, key=lambda pair: (pair[1].country, pair[1].start))
    for (_, before), (number, after) in pairwise(periods):
        if before.country == after.country and (before.end is None or before.end > after.start):
            message = f"the period before ends {before.end or 'never'}"
            yield _at(number, after, "start", message, "let one period end before the next begins")


def exits_match_ends(tables: Tables) -> Iterator[Problem]:
    """A spell is in_office exactly while it has no end; `entered` is before the start."""
    for number, row in tables.leaders:
        if (row.exit == "in_office") != (row.end is None):
            message = f"does not fit the end {row.end or '(empty)'}"
            yield _at(number, row, "exit", message, "give an end and its exit, or in_office and no end")
        if row.entered is not None and row.entered >= row.start:
            message = f"is not before the start {row.start}"
            yield _at(number, row, "entered", message, "leave it empty unless power was taken before the frame")


def results_match_ends(tables: Tables) -> Iterator[Problem]:
    """A challenge is ongoing exactly while it has no end."""
    for number, row in tables.current_events:
        if (row.result == "ongoing") != (row.end is None):
            message = f"does not fit the end {row.end or '(empty)'}"
            yield _at(number, row, "result", message, "give an end and its result, or ongoing and no end")


def challenges_inside_spells(tables: Tables) -> Iterator[Problem]:
    """A challenge starts while the leader it challenges is in office, and ends no later than the spell."""
    for number, event in tables.current_events:
        spell = challenged_spell(tables, event)
        if spell is None:
            message = f"no leader of {event.country} is in office that day"
            yield _at(number, event, "start", message, "correct country or start")
        elif spell.end is not None and (event.end is None or event.end > spell.end):
            remedy = f"end it by {spell.end} and code what goes on against the successor as inherited"
            yield _at(number, event, "end", f"is after the exit of {spell.leader}", remedy)
        elif event.inherited and event.start != spell.start:
            message = f"but the spell of {spell.leader} begins {spell.start}"
            yield _at(number, event, "inherited", message, "start it on the spell's first day")


def challenged_spell(tables: Tables, event: EventRow) -> LeaderRow | None:
    """Return the spell in office when a challenge starts."""
    inside = (row for _, row in tables.leaders if row.country == event.country and row.start <= event.start)
    return next((row for row in inside if row.end is None or event.start < row.end), None)


def removals_match_exits(tables: Tables) -> Iterator[Problem]:
    """A leader removed by a challenge has that challenge in events.csv, and the other way round."""
    exits = {(row.country, row.end) for _, row in tables.leaders if row.exit in REMOVALS}
    removals: dict[tuple[str, date | None], EventRow] = {}
    for number, event in tables.current_events:
        if event.result != "removed":
            continue
        key = event.country, event.end
        if key not in exits:
            message = f"no spell ends by coup or revolution on {event.end}"
            yield _at(number, event, "result", message, "correct the result or the exit")
        elif key in removals:
            message = f"{removals[key].event_id} removed the same leader"
            yield _at(number, event, "result", message, "let one of the two be the removal")
        removals.setdefault(key, event)
    for number, spell in tables.leaders:
        removal = removals.get((spell.country, spell.end))
        if spell.exit in REMOVALS and (removal is None or removal.kind != REMOVALS[spell.exit]):
            message = f"no {REMOVALS[spell.exit]} with result removed ends on {spell.end}"
            yield _at(number, spell, "exit", message, "add that challenge to events.csv or correct the exit")


def readings_fit_codebook(tables: Tables) -> Iterator[Problem]:
    """A reading's indicator is in the codebook, its numbers in range and in order."""
    for number, row in tables.indicators:
        entry = tables.codebook.indicators.get(row.indicator)
        if entry is None:
            known = ", ".join(tables.codebook.indicators)
            yield _at(number, row, "indicator", "is not in codebook.toml", f"use one of {known}")
            continue
        if entry.role == "computed":
            yield _at(number, row, "indicator", "is computed from the other tables", "delete the row")
        low, high = entry.range
        for column in ("value", "low", "high"):
            if not low <= getattr(row, column) <= high:
                yield _at(number, row, column, f"is outside {low:g} to {high:g}", "use the codebook's scale")
        if not row.low <= row.value <= row.high:
            message = f"is outside its own range {row.low:g} to {row.high:g}"
            yield _at(number, row, "value", message, "let low <= value <= high")
        nothing = row.value == 0.0 and entry.absent == "zero"  # "no war" and "no sanctions" are no matter of degree
        if row.basis == "judgement" and row.low == row.high and not nothing:
            yield _at(number, row, "low", "leaves a judgement without a range", "widen low and high")


def readings_inside_frame(tables: Tables) -> Iterator[Problem]:
    """A reading is about a day on which its country stands in the frame, or the last day of a window."""
    own = _windows_of(tables)
    for number, row in tables.indicators:
        day = row.observed_on
        if row.country in own and not any(w.holds(day) or w.end == day for w in own[row.country]):
            message = f"is outside the frame of {row.country}"
            yield _at(number, row, "observed_on", message, "correct the date or the country")


def nothing_carried_over(tables: Tables) -> Iterator[Problem]:
    """A war or sanctions of an earlier window are read anew, or as over, on the first day of the next one."""
    own: dict[tuple[str, str, str], list[tuple[int, IndicatorRow]]] = defaultdict(list)
    for number, row in tables.indicators:
        entry = tables.codebook.indicators.get(row.indicator)
        if entry is not None and entry.absent == "zero":
            own[row.country, row.indicator, row.coder].append((number, row))
    frame = _windows_of(tables)
    remedy = "add a reading of that day: 0 if the war or the sanctions are over"
    for (country, _, _), readings in own.items():
        for window in frame[country][1:]:
            known = [pair for pair in readings if pair[1].observed_on <= window.start]
            number, last = max(known, key=lambda pair: _newest(pair[1]), default=(0, None))
            if last is not None and last.observed_on < window.start and last.value != 0.0:
                message = f"is still in force when the next window of {country} begins on {window.start}"
                yield _at(number, last, "value", message, remedy)


def sanctions_follow_their_table(tables: Tables) -> Iterator[Problem]:
    """A reading of sanctions is near the severity that follows from sanctions.csv, where a study has that table."""
    measures: dict[str, list[SanctionRow]] = defaultdict(list)
    for _, measure in tables.sanctions:
        measures[measure.country].append(measure)
    readings = [(number, row) for number, row in tables.indicators if row.indicator == "sanctions" and tables.sanctions]
    for number, row in readings:
        expected = severity(in_force_on(measures[row.country], row.observed_on)).value
        if abs(row.value - expected) > TOLERANCE:
            yield _at(number, row, "value", f"but sanctions.csv makes it {expected:g}", MAKE_READINGS)
    frame = _windows_of(tables)
    for number, measure in tables.sanctions:
        own = [row for _, row in readings if row.country == measure.country]
        for column in ("start", "end"):
            day: date | None = getattr(measure, column)
            if day is None or not any(window.holds(day) for window in frame[measure.country]):
                continue
            expected = severity(in_force_on(measures[measure.country], day)).value
            last = max((row for row in own if row.observed_on <= day), key=_newest, default=None)
            value = last.value if last else 0.0
            if abs(value - expected) > TOLERANCE:
                message = f"makes the severity {expected:g}, and the reading in force is {value:g}"
                yield _at(number, measure, column, message, MAKE_READINGS)


def _newest(row: IndicatorRow) -> tuple[date, date]:
    return row.observed_on, row.known_on


# Rules that hold each row against itself, the codebook and the bibliography.
ROW_RULES: tuple[Callable[[Tables], Iterator[Problem]], ...] = (
    matching_prefix,
    sources_exist,
    dates_in_order,
    exits_match_ends,
    results_match_ends,
    readings_fit_codebook,
)
RULES: tuple[Callable[[Tables], Iterator[Problem]], ...] = (
    something_coded,
    unique_keys,
    one_code_one_country,
    known_countries,
    *ROW_RULES,
    periods_apart,
    spells_tile_frame,
    challenges_inside_spells,
    removals_match_exits,
    readings_inside_frame,
    nothing_carried_over,
    sanctions_follow_their_table,
)
