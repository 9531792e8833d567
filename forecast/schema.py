"""The data contract: one row type for each table, with the sentence that documents each column.

The sentences are the data dictionary, and the types are the checks, so the two cannot drift apart.
Nothing here imports pandas: `forecast check` reads, checks and answers in well under a second.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

Cause = Literal["coup", "uprising", "other_exit"]
ChallengeKind = Literal["coup", "uprising"]
CAUSES: tuple[Cause, ...] = ("coup", "uprising", "other_exit")
KINDS: tuple[ChallengeKind, ...] = ("coup", "uprising")
RESULTS = ("failed", "concession", "removed")
OUTCOMES = ("coup", "revolution", "other_exit", "survives_challenged", "survives_unchallenged")
COMPUTED = ("tenure", "recent_challenge")

# Kinds of sanction, lightest first, and classes of the senders' share of the target's trade (bounds).
MEASURES = ("persons", "arms", "aid", "goods", "transport", "sector", "staple", "finance", "trade", "blockade")
SHARES = {
    "trace": (0.0, 0.02), "small": (0.02, 0.1), "some": (0.1, 0.25), "large": (0.25, 0.5), "most": (0.5, 0.75),
    "nearly_all": (0.75, 1.0),
}  # fmt: skip

# A spreadsheet counts days from this date, so a bare 44616 in a date column is 2022-02-24.
SPREADSHEET_EPOCH = date(1899, 12, 30)


def _fault(message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{message}", {"message": message, "remedy": remedy})


def parse_date(text: Any) -> date:
    """Return the day that an ISO date names.

    Examples
    --------
    >>> parse_date("2022-02-24")
    datetime.date(2022, 2, 24)
    """
    if isinstance(text, date):
        return text
    if re.fullmatch(r"[0-9]{4,5}(\.0)?", text):
        day = SPREADSHEET_EPOCH + timedelta(days=int(float(text)))
        raise _fault("is a spreadsheet's date serial, not a date", f"write {day.isoformat()} if that is the day meant")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise _fault("is not an ISO date", "write YYYY-MM-DD with leading zeros")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _fault(f"is no day of the calendar ({error})", "correct the month or the day") from None


def _number(text: Any) -> float:
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", str(text)):
        raise _fault("has a decimal comma", "write a decimal point")
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", str(text)):
        raise _fault("is not a finite number", "write a plain number such as 0.35")
    return float(text)


def _flag(text: Any) -> bool:
    if str(text) not in {"0", "1"}:
        raise _fault("is not a flag", "write 1 for yes or 0 for no")
    return str(text) == "1"


def _matching(pattern: str, message: str, remedy: str) -> Callable[[Any], str]:
    def validate(text: Any) -> str:
        if not re.fullmatch(pattern, str(text)):
            raise _fault(message, remedy)
        return str(text)

    return validate


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def validate(text: Any) -> str:
        if text not in allowed:
            raise _fault("is not an allowed value", f"write one of {', '.join(allowed)}")
        return str(text)

    return validate


def _keys(text: Any) -> tuple[str, ...]:
    if not isinstance(text, str):
        return tuple(text)
    keys = text.split(";")
    if not all(re.fullmatch(r"[A-Za-z][\w-]*", key) for key in keys):
        raise _fault(
            "is not a list of source keys", "write keys of sources.bib, separated by a semicolon without spaces"
        )
    return tuple(keys)


def _listed(text: Any, *allowed: str) -> tuple[str, ...]:
    words = text.split(";") if isinstance(text, str) else tuple(text)
    if not words or not set(words) <= set(allowed):
        raise _fault("is not a list of allowed words", f"write some of {', '.join(allowed)}, separated by semicolons")
    return tuple(words)


def _optional(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda text: None if text in ("", None) else parse(text)


def _text(text: Any) -> str:
    if re.search(r"[\x00-\x1f\x7f]", str(text)):
        raise _fault("holds a control character", "retype the text on one line")
    return str(text)


Day = Annotated[date, BeforeValidator(parse_date)]
MaybeDay = Annotated[date | None, BeforeValidator(_optional(parse_date))]
Number = Annotated[float, BeforeValidator(_number)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Sources = Annotated[tuple[str, ...], BeforeValidator(_keys)]
Text = Annotated[str, BeforeValidator(_text)]
Iso3 = Annotated[
    str, BeforeValidator(_matching("[A-Z]{3}", "is not an ISO 3166 code", "write three capital letters such as RUS"))
]
Slug = Annotated[
    str,
    BeforeValidator(_matching("[a-z][a-z0-9_]*", "is not a lower-case name", "use a-z, 0-9 and _ only")),
]
Name = Annotated[
    str, BeforeValidator(_matching(r"(?=.*\S)[^\x00-\x1f\x7f]+", "is empty or has control characters", "write a name"))
]
Identifier = Annotated[
    str,
    BeforeValidator(
        _matching(
            r"[A-Z]{3}-\d{4}-[a-z0-9-]+",
            "is not an identifier",
            "write COUNTRY-YEAR-short-name, such as UKR-2013-euromaidan",
        )
    ),
]
EXITS = ("coup", "revolution", "regular", "natural_death", "ill_health", "assassination", "foreign", "irregular",
         "state_dissolved", "frame_end", "in_office")  # fmt: skip
Exit = Annotated[str, BeforeValidator(_one_of(*EXITS))]
Kind = Annotated[str, BeforeValidator(_one_of("coup_attempt", "uprising"))]
Result = Annotated[str, BeforeValidator(_one_of(*RESULTS, "ongoing"))]
Measures = Annotated[tuple[str, ...], BeforeValidator(lambda text: _listed(text, *MEASURES))]
Share = Annotated[str, BeforeValidator(_one_of(*SHARES))]
Basis = Annotated[str, BeforeValidator(_one_of("judgement", "measured"))]
GwCode = Annotated[
    str, BeforeValidator(_matching("[0-9]{1,3}", "is not a Gleditsch-Ward code", "write one to three digits"))
]
Coder = Annotated[
    str, BeforeValidator(_matching(r"[A-Za-z][\w-]*", "is not a coder's name", "write a short name such as A"))
]


class Row(BaseModel):
    """A row of a table; unknown columns are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def trusted(cls, values: dict[str, Any], names: set[str]) -> Self:
        """Return a row of values that have been read one by one: `model_construct` at a third of its time."""
        row = cls.__new__(cls)
        object.__setattr__(row, "__dict__", values)
        object.__setattr__(row, "__pydantic_fields_set__", names)
        object.__setattr__(row, "__pydantic_extra__", None)
        object.__setattr__(row, "__pydantic_private__", None)
        return row


class CountryRow(Row):
    """One period of a state that stands in the frame under one name and pooling group."""

    country: Iso3 = Field(description="ISO 3166 code of the state (a predecessor state has its successor's code)")
    start: Day = Field(description="first day of the frame for this state and period")
    end: MaybeDay = Field(description="first day after the period; empty while it goes on")
    gw_code: GwCode = Field(description="Gleditsch-Ward state number")
    name: Name = Field(description="English name in that period")
    group: Slug = Field(description="pooling level: states expected to resemble each other")
    frame: Slug = Field(description="sampling frame: the rule by which the leader-years are in the data")
    note: Text = Field(description="anything a reader of the row should know")


class LeaderRow(Row):
    """One leader spell: one person's unbroken time as effective ruler."""

    spell_id: Identifier = Field(description="country, start year and surname")
    country: Iso3 = Field(description="state ruled")
    leader: Name = Field(description="name in its usual English spelling")
    start: Day = Field(description="first day of the spell inside the frame")
    end: MaybeDay = Field(description="day of the exit, which is the first day of the successor; empty while in office")
    exit: Exit = Field(description="manner of exit; frame_end where the leader stays and only the frame's window ends")
    entered: MaybeDay = Field(description="day the leader took power if that was before the frame began")
    sources: Sources = Field(description="keys of sources.bib")
    note: Text = Field(description="rule applied, or departure from public data and its reason")


class EventRow(Row):
    """One challenge to one leader."""

    event_id: Identifier = Field(description="country, year and a short name")
    country: Iso3 = Field(description="state in which the leader is challenged")
    kind: Kind = Field(description="coup_attempt (from inside the state) or uprising (mass campaign aimed at removal)")
    armed: Flag = Field(description="1 if the challengers fought with arms as their main means")
    start: Day = Field(description="first overt act")
    end: MaybeDay = Field(description="day it ended; empty while it goes on")
    result: Result = Field(description="failed, concession (leader stays, yields something large), removed, or ongoing")
    inherited: Flag = Field(description="1 if it began against a predecessor and goes on, so it is no onset")
    name: Name = Field(description="usual English name")
    known_on: Day = Field(description="first day a contemporary public could know of this row")
    sources: Sources = Field(description="keys of sources.bib")
    note: Text = Field(description="contested coding, uncertain day")


class IndicatorRow(Row):
    """One reading: a dated, sourced value of one indicator for one country by one coder."""

    country: Iso3 = Field(description="state that the reading is about")
    indicator: Slug = Field(description="indicator of codebook.toml")
    observed_on: Day = Field(description="day from which the value holds, until the next reading")
    value: Number = Field(description="best value on the codebook's scale")
    low: Number = Field(description="lower end of the coder's 90% range")
    high: Number = Field(description="upper end of the coder's 90% range")
    coder: Coder = Field(description="who coded; two coders' readings of one day stand side by side")
    basis: Basis = Field(description="judgement, or measured (follows from a published statistic)")
    known_on: Day = Field(description="first day a contemporary could know it")
    sources: Sources = Field(description="keys of sources.bib")
    note: Text = Field(description="turning point or reason")


class SanctionRow(Row):
    """One set of sanctions on one country by senders who act together, from which severity is computed."""

    country: Iso3 = Field(description="target")
    start: Day = Field(description="day in force; may be before the frame")
    end: MaybeDay = Field(description="first day no longer in force; empty while in force")
    measures: Measures = Field(description="kinds of measure: " + ", ".join(MEASURES))
    senders: Name = Field(description="states or organisations; not those that fight the target")
    share: Share = Field(description="class of the senders' share of the target's trade: " + ", ".join(SHARES))
    known_on: Day = Field(description="first day a contemporary could know it")
    sources: Sources = Field(description="keys of sources.bib")
    note: Text = Field(description="the act, and what is uncertain")


TABLES: dict[str, type[Row]] = {
    "countries.csv": CountryRow,
    "leaders.csv": LeaderRow,
    "events.csv": EventRow,
    "indicators.csv": IndicatorRow,
}
WORKINGS: dict[str, type[Row]] = {"sanctions.csv": SanctionRow}  # a study may do without: readings are made from them


class Indicator(Row):
    """One entry of the codebook: what an indicator means and how its scale is anchored."""

    label: str
    unit: str
    range: tuple[float, float]
    role: Literal["judgement", "measured", "computed"]
    absent: Literal["missing", "zero"]
    claim: tuple[str, ...] = ()
    low: str = ""
    middle: str = ""
    high: str = ""
    sources: str = ""

    @field_validator("range")
    @classmethod
    def _rising(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if not ends[0] < ends[1]:
            raise _fault("does not rise from its low to its high end", "write [low, high]")
        return ends

    @property
    def scale(self) -> float:
        """Half the range: an effect is per half range, so twice an effect takes low to high."""
        return (self.range[1] - self.range[0]) / 2


class StudyFacts(Row):
    """What holds for a study as a whole."""

    title: str
    coded_to: date = Field(description="last day to which leaders, events and indicators are complete")


class Codebook(Row):
    """The study's facts and its indicators, in the order of the file."""

    study: StudyFacts
    indicators: dict[str, Indicator]


def read_codebook(path: Path) -> Codebook:
    """Return the codebook of a study.

    Raises
    ------
    ValidationError, tomllib.TOMLDecodeError, OSError
        When the file cannot be read as a codebook; `forecast.checks` turns these into problems.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    study = content.pop("study", {})
    return Codebook(study=study, indicators=content)


def faults(error: ValidationError) -> list[tuple[str, str | None, str, str]]:
    """Return (column, value, message, remedy) for every fault in a pydantic error."""
    found = []
    for item in error.errors(include_url=False):
        column = ".".join(map(str, item["loc"])) or "(row)"
        value = None if item["type"] == "missing" else str(item["input"])
        remedy = item.get("ctx", {}).get("remedy", "see the data dictionary")
        found.append((column, value, item["msg"], str(remedy)))
    return found
