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
from itertools import pairwise
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


def _at(file: str, number: int, column: str, row: Row, message: str, remedy: str) -> Problem:
    return Problem(file, number, column, cell(getattr(row, column)), message, remedy)


def something_coded(tables: Tables) -> Iterator[Problem]:
    """A study has a country."""
    if not tables.countries:
        message = "has no rows, so there is nothing to forecast yet"
        yield Problem("countries.csv", None, None, None, message, "code countries.csv, then leaders.csv")


def unique_keys(tables: Tables) -> Iterator[Problem]:
    """A row's key stands once; a correction of an event or reading differs in known_on."""
    keys: list[tuple[str, str, tuple[tuple[int, Row], ...], tuple[str, ...]]] = [
        ("countries.csv", "start", tables.countries, ("country", "start")),
        ("leaders.csv", "spell_id", tables.leaders, ("spell_id",)),
        ("events.csv", "event_id", tables.events, ("event_id", "known_on")),
        (
            "indicators.csv",
            "observed_on",
            tables.indicators,
            ("country", "indicator", "observed_on", "coder", "known_on"),
        ),
    ]
    for file, column, rows, names in keys:
        first: dict[object, int] = {}
        key_of = attrgetter(*names)
        for number, row in rows:
            key = key_of(row)
            if key in first:
                message = f"repeats the key ({', '.join(names)}) of row {first[key]}"
                yield _at(file, number, column, row, message, "delete one; a correction has a later known_on")
            first.setdefault(key, number)


def one_code_one_country(tables: Tables) -> Iterator[Problem]:
    """A Gleditsch-Ward number stands for one country."""
    first: dict[str, tuple[int, str]] = {}
    for number, row in tables.countries:
        before, country = first.setdefault(row.gw_code, (number, row.country))
        if country != row.country:
            message = f"is the number of {country} in row {before}"
            yield _at("countries.csv", number, "gw_code", row, message, "correct the number or the country")


def known_countries(tables: Tables) -> Iterator[Problem]:
    """Every row is about a country of countries.csv."""
    known = {row.country for _, row in tables.countries}
    for file, rows in _dated(tables):
        for number, row in rows:
            if row.country not in known:
                yield _at(
                    file, number, "country", row, "is not in countries.csv", "correct the code or add the country"
                )


def _dated(
    tables: Tables,
) -> list[tuple[str, tuple[tuple[int, LeaderRow | EventRow | IndicatorRow | SanctionRow], ...]]]:
    return [
        ("leaders.csv", tables.leaders),
        ("events.csv", tables.events),
        ("indicators.csv", tables.indicators),
        ("sanctions.csv", tables.sanctions),
    ]


def matching_prefix(tables: Tables) -> Iterator[Problem]:
    """An identifier begins with its row's country and start year."""
    for file, column, rows in (
        ("leaders.csv", "spell_id", tables.leaders),
        ("events.csv", "event_id", tables.events),
    ):
        for number, row in rows:
            prefix = f"{row.country}-{row.start.year}-"
            if not getattr(row, column).startswith(prefix):
                yield _at(
                    file,
                    number,
                    column,
                    row,
                    f"does not begin with {prefix}",
                    "correct the identifier, country or start",
                )


def sources_exist(tables: Tables) -> Iterator[Problem]:
    """Every source key of a row is in sources.bib."""
    for file, rows in _dated(tables):
        for number, row in rows:
            for key in row.sources:
                if key not in tables.sources:
                    yield Problem(
                        file, number, "sources", key, "is not in sources.bib", "add the entry or correct the key"
                    )


def dates_in_order(tables: Tables) -> Iterator[Problem]:
    """An end is not before its start, knowledge not before the fact, and nothing after coded_to."""
    last = tables.coded_to
    for file, rows in (("countries.csv", tables.countries), *_dated(tables)):
        columns = [name for name in ("start", "end", "observed_on", "known_on") if name in ROWS[file].model_fields]
        for number, row in rows:
            days = {name: getattr(row, name) for name in columns}
            start, end, known = days.get("start", days.get("observed_on")), days.get("end"), days.get("known_on")
            if end is not None and start is not None and (end < start or (end == start and file != "events.csv")):
                yield _at(file, number, "end", row, f"is not after the start {start}", "correct one of the two dates")
            if known is not None and start is not None and known < start:
                yield _at(
                    file,
                    number,
                    "known_on",
                    row,
                    f"is before {start}, the day of the fact",
                    "correct one of the two dates",
                )
            for column, day in days.items():
                if day is not None and day > last:
                    remedy = "correct the date, or move the last coded day with forecast add day once everything is coded to it"
                    yield _at(file, number, column, row, f"is after the last coded day {last}", remedy)


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


def spells_tile_frame(tables: Tables) -> Iterator[Problem]:
    """Every day of every window belongs to exactly one spell."""
    spells: dict[str, list[tuple[int, LeaderRow]]] = defaultdict(list)
    for number, row in sorted(tables.leaders, key=lambda pair: pair[1].start):
        spells[row.country].append((number, row))
    for window in windows(tables):
        own = [pair for pair in spells[window.country] if window.holds(pair[1].start)]
        spells[window.country] = [pair for pair in spells[window.country] if pair not in own]
        yield from _tiles(window, own)
    for number, row in (pair for rest in spells.values() for pair in rest):
        yield _at(
            "leaders.csv",
            number,
            "start",
            row,
            f"is outside the frame of {row.country}",
            "correct the date or countries.csv",
        )


def _tiles(window: Window, own: list[tuple[int, LeaderRow]]) -> Iterator[Problem]:
    if not own:
        message = f"has no leader spell from {window.start} to {window.end or 'now'}"
        yield Problem(
            "countries.csv", window.number, "country", window.country, message, "code its leaders in leaders.csv"
        )
        return
    first, last = own[0], own[-1]
    if first[1].start != window.start:
        message = f"the frame of {window.country} begins on {window.start}"
        yield _at("leaders.csv", first[0], "start", first[1], message, "start the first spell on that day")
    for (_, before), (number, after) in pairwise(own):
        if before.end != after.start:
            kind = "overlaps" if before.end is None or before.end > after.start else "leaves a gap after"
            message = f"{kind} the spell {before.spell_id}, which ends {before.end or 'never'}"
            yield _at(
                "leaders.csv", number, "start", after, message, "let each spell begin on the day the last one ends"
            )
    for number, row in own[:-1]:
        if row.exit == "frame_end":
            message = f"the frame of {window.country} goes on after {row.end}"
            yield _at("leaders.csv", number, "exit", row, message, "write how the leader left")
    if last[1].end != window.end:
        message = f"the frame of {window.country} ends {window.end or 'never'}"
        yield _at("leaders.csv", last[0], "end", last[1], message, "end the last spell on that day")


def periods_apart(tables: Tables) -> Iterator[Problem]:
    """The periods of one country do not overlap."""
    periods = sorted(tables.countries, key=lambda pair: (pair[1].country, pair[1].start))
    for (_, before), (number, after) in pairwise(periods):
        if before.country == after.country and (before.end is None or before.end > after.start):
            message = f"the period before ends {before.end or 'never'}"
            yield _at("countries.csv", number, "start", after, message, "let one period end before the next begins")


def exits_match_ends(tables: Tables) -> Iterator[Problem]:
    """A spell is in_office exactly while it has no end; `entered` is before the start."""
    for number, row in tables.leaders:
        if (row.exit == "in_office") != (row.end is None):
            yield _at(
                "leaders.csv",
                number,
                "exit",
                row,
                f"does not fit the end {row.end or '(empty)'}",
                "give an end and its exit, or in_office and no end",
            )
        if row.entered is not None and row.entered >= row.start:
            yield _at(
                "leaders.csv",
                number,
                "entered",
                row,
                f"is not before the start {row.start}",
                "leave it empty unless power was taken before the frame",
            )


def results_match_ends(tables: Tables) -> Iterator[Problem]:
    """A challenge is ongoing exactly while it has no end."""
    for number, row in tables.current_events:
        if (row.result == "ongoing") != (row.end is None):
            yield _at(
                "events.csv",
                number,
                "result",
                row,
                f"does not fit the end {row.end or '(empty)'}",
                "give an end and its result, or ongoing and no end",
            )


def challenges_inside_spells(tables: Tables) -> Iterator[Problem]:
    """A challenge starts while the leader it challenges is in office, and ends no later than the spell."""
    for number, event in tables.current_events:
        spell = challenged_spell(tables, event)
        if spell is None:
            yield _at(
                "events.csv",
                number,
                "start",
                event,
                f"no leader of {event.country} is in office that day",
                "correct country or start",
            )
        elif spell.end is not None and (event.end is None or event.end > spell.end):
            remedy = f"end it by {spell.end} and code what goes on against the successor as inherited"
            yield _at("events.csv", number, "end", event, f"is after the exit of {spell.leader}", remedy)
        elif event.inherited and event.start != spell.start:
            yield _at(
                "events.csv",
                number,
                "inherited",
                event,
                f"but the spell of {spell.leader} begins {spell.start}",
                "start it on the spell's first day",
            )


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
            message, remedy = f"no spell ends by coup or revolution on {event.end}", "correct the result or the exit"
            yield _at("events.csv", number, "result", event, message, remedy)
        elif key in removals:
            message = f"{removals[key].event_id} removed the same leader"
            yield _at("events.csv", number, "result", event, message, "let one of the two be the removal")
        removals.setdefault(key, event)
    for number, spell in tables.leaders:
        removal = removals.get((spell.country, spell.end))
        if spell.exit in REMOVALS and (removal is None or removal.kind != REMOVALS[spell.exit]):
            message = f"no {REMOVALS[spell.exit]} with result removed ends on {spell.end}"
            remedy = "add that challenge to events.csv or correct the exit"
            yield _at("leaders.csv", number, "exit", spell, message, remedy)


def readings_fit_codebook(tables: Tables) -> Iterator[Problem]:
    """A reading's indicator is in the codebook, its numbers in range and in order."""
    for number, row in tables.indicators:
        entry = tables.codebook.indicators.get(row.indicator)
        if entry is None:
            known = ", ".join(tables.codebook.indicators)
            yield _at("indicators.csv", number, "indicator", row, "is not in codebook.toml", f"use one of {known}")
            continue
        if entry.role == "computed":
            yield _at("indicators.csv", number, "indicator", row, "is computed from the other tables", "delete the row")
        for column in ("value", "low", "high"):
            if not entry.range[0] <= getattr(row, column) <= entry.range[1]:
                yield _at(
                    "indicators.csv",
                    number,
                    column,
                    row,
                    f"is outside {entry.range[0]:g} to {entry.range[1]:g}",
                    "use the codebook's scale",
                )
        if not row.low <= row.value <= row.high:
            yield _at(
                "indicators.csv",
                number,
                "value",
                row,
                f"is outside its own range {row.low:g} to {row.high:g}",
                "let low <= value <= high",
            )
        nothing = row.value == 0.0 and entry.absent == "zero"  # "no war" and "no sanctions" are no matter of degree
        if row.basis == "judgement" and row.low == row.high and not nothing:
            yield _at("indicators.csv", number, "low", row, "leaves a judgement without a range", "widen low and high")


def readings_inside_frame(tables: Tables) -> Iterator[Problem]:
    """A reading is about a day on which its country stands in the frame, or the last day of a window."""
    own: dict[str, list[Window]] = defaultdict(list)
    for window in windows(tables):
        own[window.country].append(window)
    for number, row in tables.indicators:
        if row.country in own and not any(
            w.holds(row.observed_on) or w.end == row.observed_on for w in own[row.country]
        ):
            message = f"is outside the frame of {row.country}"
            yield _at("indicators.csv", number, "observed_on", row, message, "correct the date or the country")


def nothing_carried_over(tables: Tables) -> Iterator[Problem]:
    """A war or sanctions of an earlier window are read anew, or as over, on the first day of the next one."""
    own: dict[tuple[str, str, str], list[tuple[int, IndicatorRow]]] = defaultdict(list)
    for number, row in tables.indicators:
        entry = tables.codebook.indicators.get(row.indicator)
        if entry is not None and entry.absent == "zero":
            own[row.country, row.indicator, row.coder].append((number, row))
    later = [after for before, after in pairwise(windows(tables)) if before.country == after.country]
    for (country, _, _), readings in own.items():
        for window in (window for window in later if window.country == country):
            known = [pair for pair in readings if pair[1].observed_on <= window.start]
            number, last = max(known, key=lambda pair: _newest(pair[1]), default=(0, None))
            if last is not None and last.observed_on < window.start and last.value != 0.0:
                message = f"is still in force when the next window of {country} begins on {window.start}"
                remedy = "add a reading of that day: 0 if the war or the sanctions are over"
                yield _at("indicators.csv", number, "value", last, message, remedy)


def sanctions_follow_their_table(tables: Tables) -> Iterator[Problem]:
    """A reading of sanctions is near the severity that follows from sanctions.csv, where a study has that table."""
    measures: dict[str, list[SanctionRow]] = defaultdict(list)
    for _, measure in tables.sanctions:
        measures[measure.country].append(measure)
    readings = [(number, row) for number, row in tables.indicators if row.indicator == "sanctions" and tables.sanctions]
    for number, row in readings:
        expected = severity(in_force_on(measures[row.country], row.observed_on)).value
        if abs(row.value - expected) > TOLERANCE:
            yield _at("indicators.csv", number, "value", row, f"but sanctions.csv makes it {expected:g}", MAKE_READINGS)
    frame = windows(tables)
    for number, measure in tables.sanctions:
        own = [row for _, row in readings if row.country == measure.country]
        days = [("start", measure.start), ("end", measure.end)]
        for column, day in days:
            if day is None or not any(w.country == measure.country and w.holds(day) for w in frame):
                continue
            expected = severity(in_force_on(measures[measure.country], day)).value
            last = max((row for row in own if row.observed_on <= day), key=_newest, default=None)
            value = last.value if last else 0.0
            if abs(value - expected) > TOLERANCE:
                message = f"makes the severity {expected:g}, and the reading in force is {value:g}"
                yield _at("sanctions.csv", number, column, measure, message, MAKE_READINGS)


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
