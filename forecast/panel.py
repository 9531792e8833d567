"""The global panel: a study of every leader since 1919, built from the publishers' files.

The tables follow from the files and the rules of `forecast.outcomes`; nothing is coded by hand, and nothing is
shipped. Indicators come from `forecast.covariates`, if the package has it.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast import outcomes
from forecast.checks import check_study
from forecast.data import table_frame
from forecast.errors import DataError, UsageError
from forecast.files import file_digest, locked
from forecast.importers import REGISTRY
from forecast.importers.names import STATE_NAMES
from forecast.schema import TABLES, CountryRow, EventRow, IndicatorRow, LeaderRow, Row
from forecast.study import PACKAGED, REPOSITORY, Study, is_study
from forecast.tables import format_rows

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("archigos", "powell_thyne", "navco", "vdem_region")
FRAME, EXITS_FRAME = "global_panel", "exits_only"
MALTA = 338  # its neighbour by number is Albania
IMPORTS = "imports.csv"  # which files a study was made from, and what was made
MADE, MADE_FILES = "study", (*TABLES, "codebook.toml", "sources.bib")
DEFAULTS = {"coder": "A", "basis": "measured", "note": ""}
BIB = {"archigos": "archigos", "powell_thyne": "powell_thyne_2011", "navco": "navco13", "reign": "reign"}


@dataclass(frozen=True)
class World:
    """What the outcome files say of leaders and challenges, settled."""

    spells: tuple[outcomes.Spell, ...]
    challenges: tuple[outcomes.Challenge, ...]
    last: date
    left_out: int


Imported = Mapping[str, "pd.DataFrame"]


def find_sources(folder: Path) -> dict[str, Path]:
    """Return the file of each public data set in a folder, found by the usual words of its name.

    Raises
    ------
    UsageError
        When there is no such folder, or no data set in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    found = {name: path for name, source in REGISTRY.items() if (path := source.find(folder)) is not None}
    if not found:
        raise UsageError(f"{folder} holds none of the data sets {', '.join(REGISTRY)}; see forecast/importers")
    return found


def read_sources(files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Return public data sets as tidy tables.

    Raises
    ------
    UsageError
        When one that a panel needs is not there, or a file is not what it is named for.
    """
    if absent := [name for name in REQUIRED if name not in files]:
        cite = "; ".join(REGISTRY[name].citation for name in absent)
        raise UsageError(f"there is no file of {', '.join(absent)} ({cite}); see forecast/importers")
    return {name: REGISTRY[name].read(path) for name, path in files.items()}


def settle(tables: Imported) -> World:
    """Return leaders and challenges of the world from the outcome data sets."""
    archigos, coups = tables["archigos"], tables["powell_thyne"]
    archigos_to = outcomes.last_day(archigos)
    reign = tables.get("reign_leaders")
    leaders_to = max(archigos_to, outcomes.last_day(reign)) if reign is not None else archigos_to
    last = min(leaders_to, outcomes.last_coup_day(coups))
    spells = outcomes.list_spells(archigos)
    if reign is not None and last > archigos_to:
        spells = outcomes.extend_spells(spells, reign, archigos_to, last)
    attempts = outcomes.list_attempts(coups, last)
    campaigns = outcomes.list_campaigns(tables["navco"], last)
    spells = outcomes.line_up(outcomes.cut_spells(spells, last))
    spells, removed = outcomes.settle_coups(spells, attempts)
    spells = outcomes.settle_campaigns(spells, campaigns, archigos_to)
    spells = outcomes.split_at(outcomes.cut_spells(spells, last), outcomes.ATTEMPTS_FROM)
    listed = outcomes.list_coups(spells, attempts, removed)
    challenges = [*outcomes.list_early_coups(spells), *listed, *outcomes.list_uprisings(spells, campaigns)]
    return World(tuple(spells), tuple(_known(row, last) for row in challenges), last, len(attempts) - len(listed))


def _known(row: outcomes.Challenge, last: date) -> outcomes.Challenge:
    over = row.end is None or row.end > last
    return replace(row, end=None, result="ongoing") if over else row


# --- rows of the tables -------------------------------------------------------------------------------------------


def country_rows(spells: Sequence[outcomes.Spell], regions: Mapping[int, str]) -> list[Row]:
    """Return one row for each unbroken time of a state with leaders, in one frame and under one number."""
    rows: list[CountryRow] = []
    for spell in spells:
        frame = FRAME if spell.start >= outcomes.ATTEMPTS_FROM else EXITS_FRAME
        last = rows[-1] if rows else None
        if last and (last.country, last.frame, last.gw_code, last.end) == (
            spell.country,
            frame,
            str(spell.state),
            spell.start,
        ):
            rows[-1] = last.model_copy(update={"end": spell.end})
        else:
            rows.append(CountryRow(
                country=spell.country, start=spell.start, end=spell.end, gw_code=str(spell.state),
                name=STATE_NAMES[spell.state], group=region_of(spell.state, regions), frame=frame, note="",
            ))  # fmt: skip
    return list(rows)


def region_of(state: int, regions: Mapping[int, str]) -> str:
    """Return V-Dem's region of a state; of the state with the nearest number where V-Dem does not have it.

    The numbers go by region, Malta apart.

    Examples
    --------
    >>> region_of(692, {690: "middle_east_north_africa", 700: "asia_pacific"})
    'middle_east_north_africa'
    """
    if state == MALTA:
        return "west"
    return regions[min(regions, key=lambda number: abs(number - state))]


def leader_rows(spells: Sequence[outcomes.Spell]) -> list[Row]:
    """Return one row for each spell."""
    seen: Counter[str] = Counter()
    return [
        LeaderRow(
            spell_id=_unique(f"{spell.country}-{spell.start.year}-{slug(spell.leader)}", seen), country=spell.country,
            leader=spell.leader, start=spell.start, end=spell.end, exit=spell.exit, entered=spell.entered,
            sources=(BIB[spell.source],), note=spell.note,
        )
        for spell in spells
    ]  # fmt: skip


def event_rows(challenges: Sequence[outcomes.Challenge]) -> list[Row]:
    """Return one row for each challenge, by country and time."""
    seen: Counter[str] = Counter()
    ordered = sorted(challenges, key=lambda row: (row.country, row.start, row.kind, row.name))
    return [
        EventRow(
            event_id=_unique(f"{row.country}-{row.start.year}-{_short(row)}", seen), country=row.country, kind=row.kind,
            armed="1" if row.armed else "0", start=row.start, end=row.end, result=row.result,
            inherited="1" if row.inherited else "0", name=row.name, known_on=row.known_on,
            sources=(BIB[row.source],), note=row.note,
        )
        for row in ordered
    ]  # fmt: skip


def _short(row: outcomes.Challenge) -> str:
    return f"coup-{row.start:%m-%d}" if row.kind == "coup_attempt" else slug(row.name)


def slug(text: str) -> str:
    """Return a name as a short part of an identifier.

    Examples
    --------
    >>> slug("Ratu Josefa Iloilo"), slug("Yılmaz, M.")
    ('ratu-josefa-iloilo', 'ylmaz-m')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].strip("-") or "x"


def _unique(key: str, seen: Counter[str]) -> str:
    seen[key] += 1
    return key if seen[key] == 1 else _unique(f"{key}-{seen[key]}", seen)


# --- the study ----------------------------------------------------------------------------------------------------


Talk = Callable[[str], None]


def new_panel(folder: Path, sources: Path, talk: Talk = lambda _: None) -> Study:
    """Build the global panel as a study.

    Parameters
    ----------
    folder : Path
        A new or empty folder.
    sources : Path
        Holds the publishers' files, under any of their usual names.
    talk : callable
        Receives one line for each step.

    Raises
    ------
    UsageError
        When the folder is not empty or a data set is not there.
    DataError
        When the tables that follow break a rule; nothing is written then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name a new one")
    files = find_sources(sources)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        half = Path(temporary) / "study"
        for name in ("data", "models", "reports"):
            (half / name).mkdir(parents=True)
        _write_data(half / "data", files, talk)
        _copy_spec(half / "models")
        if folder.exists():
            folder.rmdir()
        half.rename(folder)
    return Study(folder, folder)


def import_files(study: Study, files: Mapping[str, Path], talk: Talk = lambda _: None) -> None:
    """Take data sets into a study that is made from public data, in place of or beside those it is made from.

    Every table is made anew from all of them, since the data sets settle each other's disagreements: all tables
    change or none.

    Raises
    ------
    UsageError
        When the study's tables are coded or changed by hand, or a file it was made from has changed.
    DataError
        When the tables that follow break a rule; the study is as it was then.
    """
    with locked(study.source):
        kept = _imported(study.data, besides=files)
        old, new = study.source / ".data.old", study.source / ".data.new"
        for rest in (old, new):
            shutil.rmtree(rest, ignore_errors=True)
        try:
            new.mkdir()
            _write_data(new, {**kept, **files}, talk)
            for path in study.data.iterdir():
                if path.is_file() and not (new / path.name).exists():
                    shutil.copyfile(path, new / path.name)  # such as reasons for differences
            study.data.rename(old)
            new.rename(study.data)
        finally:
            if old.exists() and not study.data.exists():
                old.rename(study.data)
            for rest in (old, new):
                shutil.rmtree(rest, ignore_errors=True)
        _copy_spec(study.models)


def _imported(data: Path, besides: Mapping[str, Path]) -> dict[str, Path]:
    """Return the other files that a study was made from, none if it has no rows yet; each must be what it was."""
    list_ = data / IMPORTS
    if not list_.is_file():
        if any(path.read_text(encoding="utf-8").count("\n") > 1 for path in data.glob("*.csv")):
            raise UsageError(
                f"the tables of {data} are coded by hand, and an import would replace them; make a study of public data "
                "with forecast init --panel, and hold the two against each other with forecast check --against"
            )
        return {}
    with list_.open(encoding="utf-8", newline="") as table:
        rows = [(row["dataset"], row["file"], row["sha256"]) for row in csv.DictReader(table)]
    changed = [(name, file) for name, file, digest in rows if name not in besides and _digest(data / file) != digest]
    for name, file in changed:
        if name == MADE:
            raise UsageError(
                f"{data / file} was changed by hand since it was made from public data, and an import would undo that; "
                "put the old file back, or make a new study with forecast init --panel"
            )
        what = "has changed since it was imported" if Path(file).exists() else "is gone"
        raise UsageError(f"{file} {what}; import it again: forecast import {name} FILE")
    return {name: Path(file) for name, file, _ in rows if name != MADE and name not in besides}


def _digest(path: Path) -> str:
    return file_digest(path) if path.is_file() else ""


def _write_data(folder: Path, files: Mapping[str, Path], talk: Talk) -> None:
    """Write and check the tables that follow from the publishers' files."""
    tables = read_sources(files)
    talk(f"read {len(tables)} data sets: {', '.join(tables)}")
    world = settle(tables)
    regions = dict(zip(tables["vdem_region"]["state"].astype(int), tables["vdem_region"]["region"], strict=True))
    content = {
        "countries.csv": country_rows(world.spells, regions),
        "leaders.csv": leader_rows(world.spells),
        "events.csv": event_rows(world.challenges),
    }
    for file, rows in content.items():
        _write_table(folder / file, format_rows(rows))
        talk(f"{file}: {len(rows)} rows")
    if world.left_out:
        talk(f"{world.left_out} coup attempts are left out: no leader of the state is in Archigos that day")
    readings, entries = _covariates(tables, content, world.last)
    _write_table(folder / "indicators.csv", readings.to_csv(index=False, header=False, lineterminator="\n"))
    talk(f"indicators.csv: {len(readings)} rows of {len(entries)} indicators")
    (folder / "codebook.toml").write_text(_codebook(world.last, entries), encoding="utf-8")
    shutil.copyfile(Path(__file__).parent / "importers" / "sources.bib", folder / "sources.bib")
    with (folder / IMPORTS).open("w", encoding="utf-8", newline="") as list_:
        writer = csv.writer(list_, lineterminator="\n")
        writer.writerow(["dataset", "file", "sha256"])
        writer.writerows([name, path.resolve(), file_digest(path)] for name, path in files.items())
        writer.writerows([MADE, file, file_digest(folder / file)] for file in MADE_FILES)
    if problems := check_study(folder):
        raise DataError(problems)


def _copy_spec(models: Path) -> None:
    pattern = PACKAGED if is_study(PACKAGED) else REPOSITORY
    if not (models / "panel.toml").exists():
        shutil.copyfile(pattern / "models" / "panel.toml", models / "panel.toml")


def _write_table(path: Path, lines: str) -> None:
    header = ",".join(TABLES[path.name].model_fields)
    path.write_text(f"{header}\n{lines}", encoding="utf-8")


def _covariates(
    tables: Imported, content: Mapping[str, Sequence[Row]], last: date
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the readings of every indicator and its entry in the codebook, if there is a module that makes them.

    ``forecast.covariates.build(tables, countries)`` is given the importers' tables by name, with the panel's own
    ``leaders`` and ``events``, and the panel's countries. It returns a frame of readings (``country``,
    ``indicator``, ``observed_on``, ``value``, ``low``, ``high``, ``known_on``, ``sources``; the other columns have
    defaults), and the codebook's entry of each indicator as a mapping. Readings outside the frame or not known by
    the last day may be in; they are left out or carried to the first day of a window here.
    """
    import pandas as pd

    columns = list(IndicatorRow.model_fields)
    if find_spec("forecast.covariates") is None:
        return pd.DataFrame(columns=columns), {}
    frames = {file.removesuffix(".csv"): table_frame(TABLES[file], rows) for file, rows in content.items()}
    build = import_module("forecast.covariates").build
    readings, entries = build({**tables, "leaders": frames["leaders"], "events": frames["events"]}, frames["countries"])
    defaults = {name: value for name, value in DEFAULTS.items() if name not in readings}
    known = readings[(readings[["observed_on", "known_on"]] <= pd.Timestamp(last)).all(axis=1)].assign(**defaults)
    return carry_into_windows(known, frames["countries"])[columns], entries


def carry_into_windows(readings: pd.DataFrame, countries: pd.DataFrame) -> pd.DataFrame:
    """Return the readings inside the windows of the frames, with what was read before each window on its first day.

    A reading holds until the next one, also over a time without a leader. What is about a day before the window
    but known only inside it corrects the window's first reading on the day it is known.
    """
    import pandas as pd

    kept = []
    own_readings = dict(list(readings.sort_values("observed_on", kind="stable").groupby("country")))
    for window in frame_windows(countries).itertuples():
        own = own_readings.get(window.country, readings[:0])
        before = own[own["observed_on"] <= window.start]
        first = before.assign(observed_on=window.start, known_on=before["known_on"].clip(lower=window.start))
        first = first.drop_duplicates(["indicator", "coder", "known_on"], keep="last")
        inside = own[(own["observed_on"] > window.start) & ~(own["observed_on"] >= window.end)]
        kept += [first, inside]
    return pd.concat(kept, ignore_index=True)


def frame_windows(countries: pd.DataFrame) -> pd.DataFrame:
    """Return the windows of a table of countries: its periods, joined where they adjoin in one frame."""
    rows = countries.sort_values(["country", "start"])
    same = rows[["country", "frame"]].eq(rows[["country", "frame"]].shift()).all(axis=1)
    new = ~(same & rows["start"].eq(rows["end"].shift()))
    ends = {"country": ("country", "first"), "start": ("start", "first"), "end": ("end", lambda end: end.iloc[-1])}
    return rows.groupby(new.cumsum()).agg(**ends)


COMPUTED = """
[tenure]
label = "Tenure"
unit = "years in office, as log(1 + years)"
range = [0.0, 4.0]
role = "computed"
absent = "zero"

[recent_challenge]
label = "Recent challenge"
unit = "exp(-years since the last challenge to any leader of the country ended / 5); 0 if none in the frame"
range = [0.0, 1.0]
role = "computed"
absent = "zero"
"""


def _codebook(last: date, entries: Mapping[str, Mapping[str, Any]]) -> str:
    title = "Every leader of the world since 1919: exits from 1919, coup attempts from 1950, campaigns by year"
    parts = [f'[study]\ntitle = "{title}"\ncoded_to = {last}\n', COMPUTED]
    for name, entry in entries.items():
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
        parts.append("\n".join([f"\n[{name}]", *lines, ""]))
    return "".join(parts)
