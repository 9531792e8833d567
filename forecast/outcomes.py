"""Leader spells and challenges of the world, from public data sets that do not always agree.

Three rules settle every disagreement. Archigos says who ruled and when. From 1950 Powell and Thyne say what
was a coup attempt and whether it succeeded. NAVCO says which campaigns there were, and Archigos whether one
removed the leader. What a source calls otherwise stands in the row's note.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pandas as pd

from forecast.importers.names import country_code

TYPED_FROM = date(1919, 1, 1)  # exits have their manner from here in Archigos
ATTEMPTS_FROM = date(1950, 1, 1)  # coup attempts are known from here, in Powell and Thyne
INTERREGNUM = 31  # days without a leader that the successor is given
CARETAKER = 92  # days without a leader that one who left by the rules is given
COUP_DAYS = 31  # between a coup that succeeded and the exit it caused
OTHER_EXIT_DAYS = 3  # what it costs, in days, to take an exit that Archigos does not call a coup
KNOWN_BY_REMOVAL = 30  # days that an uprising is given of which only the removal is known
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Spell:
    """A leader's unbroken time in office; `end` is None while it goes on."""

    country: str
    state: int
    leader: str
    start: date
    end: date | None
    exit: str
    armed: bool
    source: str
    entered: date | None = None
    note: str = ""

    def holds(self, day: date) -> bool:
        """Return whether the leader is in office on a day."""
        return self.start <= day and (self.end is None or day < self.end)


@dataclass(frozen=True)
class Attempt:
    """A coup attempt."""

    country: str
    day: date
    successful: bool


@dataclass(frozen=True)
class Campaign:
    """A mass campaign for a change of regime, known by years."""

    country: str
    name: str
    first: int
    last: int | None
    result: str
    armed: bool


@dataclass(frozen=True)
class Challenge:
    """A coup attempt or an uprising against one leader."""

    country: str
    kind: str
    armed: bool
    start: date
    end: date | None
    result: str
    inherited: bool
    name: str
    known_on: date
    source: str
    note: str = ""


# --- from the importers' tables ------------------------------------------------------------------------------------


def list_spells(archigos: pd.DataFrame) -> list[Spell]:
    """Return Archigos's spells since exits are typed, by country and time; an end without a manner is irregular."""
    last = last_day(archigos)
    spells = []
    for row in archigos[~(archigos["end"] < pd.Timestamp(TYPED_FROM))].itertuples():
        going_on = row.exit == "in_office" or pd.isna(row.end)
        end, manner = (None, "in_office") if going_on else (row.end.date(), row.exit)
        note = "Archigos does not know the manner of exit" if pd.isna(manner) else ""
        code = country_code(int(row.state), row.start.year)
        if code is None or row.start.date() > last:
            continue
        manner = "irregular" if note else str(manner)
        spells.append(
            Spell(
                code,
                int(row.state),
                _label(row.leader),
                row.start.date(),
                end,
                manner,
                bool(row.armed),
                "archigos",
                note=note,
            )
        )
    return sorted(spells, key=lambda spell: (spell.country, spell.start))


def list_attempts(powell_thyne: pd.DataFrame, last: date) -> list[Attempt]:
    """Return coup attempts to a last day, by country and time."""
    rows = powell_thyne.dropna(subset=["state", "day"])
    attempts = [
        Attempt(code, row.day.date(), bool(row.successful))
        for row in rows.itertuples()
        if (code := country_code(int(row.state), row.day.year)) and row.day.date() <= last
    ]
    return sorted(attempts, key=lambda attempt: (attempt.country, attempt.day, attempt.successful))


def list_campaigns(navco: pd.DataFrame, last: date) -> list[Campaign]:
    """Return the campaigns for a change of regime begun by a last day; what came of them later is not known yet."""
    rows = navco[navco["regime_change"] & navco["state"].notna() & (navco["start_year"] <= last.year)]
    campaigns = []
    for row in rows.itertuples():
        open_ended = row.result == "ongoing" or pd.isna(row.end_year) or row.end_year > last.year
        ending, result = (None, "ongoing") if open_ended else (int(row.end_year), row.result)
        code = country_code(int(row.state), int(row.start_year))
        if code is not None and (ending is None or ending >= TYPED_FROM.year):
            campaigns.append(Campaign(code, _label(row.name), int(row.start_year), ending, result, bool(row.armed)))
    return sorted(campaigns, key=lambda campaign: (campaign.country, campaign.first, campaign.name))


def _label(text: str) -> str:
    """Return a name without what a wrong encoding left in it."""
    clean = unicodedata.normalize("NFC", str(text)).replace("\ufffd", "?")
    return re.sub(r"\s+", " ", clean).strip() or "unknown"


# --- how far the sources go ----------------------------------------------------------------------------------------


def last_day(leaders: pd.DataFrame) -> date:
    """Return the last day of the last whole year that a list of leaders covers.

    Somewhere a leader comes or goes every few weeks, so a list that is current has a date in its last month.
    """
    last = leaders[["start", "end"]].max().max()
    return date(last.year if last.month == 12 else last.year - 1, 12, 31)


def last_coup_day(powell_thyne: pd.DataFrame) -> date:
    """Return the last day of the last year for which every coup attempt is in.

    That is the year of the last attempt, or the one before if the file was issued in the same year. A year without
    any attempt at the end of a file is lost: nothing tells it from a file that ends earlier.
    """
    year, issued = powell_thyne["day"].max().year, powell_thyne["issued"].max()
    return date(year if pd.isna(issued) or issued.year > year else issued.year - 1, 12, 31)


# --- spells -------------------------------------------------------------------------------------------------------


def extend_spells(spells: Sequence[Spell], reign: pd.DataFrame, archigos_to: date, last: date) -> list[Spell]:
    """Return spells carried on after Archigos's last day by REIGN's list of leaders.

    A leader in office on that day leaves when REIGN's next leader enters. The manner is regular until a coup or
    a campaign says otherwise.
    """
    followers: dict[str, list[Spell]] = defaultdict(list)
    rows = reign[(reign["start"] > pd.Timestamp(archigos_to)) & (reign["start"] <= pd.Timestamp(last))]
    for row in rows.sort_values("start").itertuples():
        code = country_code(int(row.state), row.start.year)
        end = None if pd.isna(row.end) or row.end.date() > last else row.end.date()
        if code is not None and (end is None or end > row.start.date()):
            manner = "in_office" if end is None else "regular"
            spell = Spell(code, int(row.state), _label(row.leader), row.start.date(), end, manner, False, "reign")
            followers[code].append(replace(spell, note="" if end is None else "REIGN does not say how the leader left"))
    return [after for own in _by_country(spells).values() for after in _carry_on(own, followers[own[0].country])]


def _carry_on(own: list[Spell], followers: list[Spell]) -> list[Spell]:
    if not followers or own[-1].end is not None:
        return [*own, *(spell for spell in followers if own[-1].end is not None and spell.start >= own[-1].end)]
    left = replace(own[-1], end=followers[0].start, exit="regular", note="left after Archigos ends; the day is REIGN's")
    chain = [left]
    for spell in followers:
        if spell.start < chain[-1].start + DAY:
            continue
        before = chain[-1]
        if before.end is None or before.end > spell.start:
            chain[-1] = replace(before, end=spell.start, exit="regular")
        chain.append(spell)
    return [*own[:-1], *chain]


def cut_spells(spells: Sequence[Spell], last: date) -> list[Spell]:
    """Return spells as known on a last day: who leaves later is in office."""
    return [
        spell if spell.end is not None and spell.end <= last else replace(spell, end=None, exit="in_office", note="")
        for spell in spells
        if spell.start <= last
    ]


def line_up(spells: Sequence[Spell]) -> list[Spell]:
    """Return spells that follow one another in each country.

    Who leaves by the rules is taken to stay as a caretaker until the successor comes, up to three months. After any
    other exit the successor begins on its day, unless the seat was empty for over a month. A leader of less than a
    day is given that day.
    """
    lined: list[Spell] = []
    for own in _by_country(spells).values():
        free = own[0].start
        for spell, after in zip(own, [*own[1:], None], strict=True):
            start = free if free < spell.start <= free + INTERREGNUM * DAY else max(spell.start, free)
            if spell.end is None:
                lined.append(replace(spell, start=start))
                break
            free = max(spell.end, start + DAY)
            if spell.exit == "regular" and after and free < after.start <= free + CARETAKER * DAY:
                free = after.start
            lined.append(replace(spell, start=start, end=free))
    return lined


def _by_country(spells: Iterable[Spell]) -> dict[str, list[Spell]]:
    own: dict[str, list[Spell]] = defaultdict(list)
    for spell in spells:
        own[spell.country].append(spell)
    return own


def settle_coups(spells: Sequence[Spell], attempts: Sequence[Attempt]) -> tuple[list[Spell], dict[Attempt, Spell]]:
    """Return spells whose exits fit the coup attempts since 1950, and the spell that each successful one ended.

    A successful coup ends the spell whose exit is nearest, within a month and whatever Archigos calls the exit. A
    coup removal of Archigos that is on no list of attempts is `irregular`, as is one by an attempt that failed in
    the end: the leader is gone, but nobody took power by a coup.
    """
    settled: list[Spell] = []
    removed: dict[Attempt, Spell] = {}
    tries = defaultdict(list)
    for attempt in attempts:
        tries[attempt.country].append(attempt)
    for country, own in _by_country(spells).items():
        pairs = _pair(own, [attempt for attempt in tries[country] if attempt.successful], COUP_DAYS)
        fatal = _pair(own, [attempt for attempt in tries[country] if not attempt.successful], 1, set(pairs))
        fixed = [_retype(spell, pairs.get(index), fatal.get(index)) for index, spell in enumerate(own)]
        for index, attempt in sorted({**pairs, **fatal}.items()):
            fixed = _move_exit(fixed, index, attempt.day)
        removed |= {attempt: fixed[index] for index, attempt in pairs.items()}
        settled += fixed
    return settled, removed


IRREGULAR = {"coup", "irregular", "assassination"}


def _pair(
    own: Sequence[Spell], tries: Sequence[Attempt], days: int, taken: set[int] | None = None
) -> dict[int, Attempt]:
    """Return the attempt that ended each spell, by the spell's place; the nearest pairs first."""
    gaps = {(i, j): _gap(own, i, attempt, days) for j, attempt in enumerate(tries) for i in range(len(own))}
    candidates = sorted((gap, *places) for places, gap in gaps.items() if gap is not None)
    found: dict[int, Attempt] = {}
    used: set[int] = set()
    for _, index, number in candidates:
        if index not in found and index not in (taken or set()) and number not in used:
            found[index] = tries[number]
            used.add(number)
    return found


def _gap(own: Sequence[Spell], index: int, attempt: Attempt, days: int) -> int | None:
    """Return how ill an exit fits an attempt, or None where the attempt cannot have ended the spell."""
    spell, after = own[index], own[index + 1].end if index + 1 < len(own) else None
    if spell.end is None or spell.start > attempt.day or not (attempt.successful or spell.exit in IRREGULAR):
        return None
    if after is not None and after <= attempt.day + DAY:  # the successor is gone before the attempt
        return None
    apart = abs((spell.end - attempt.day).days)
    return None if apart > days else apart + OTHER_EXIT_DAYS * (spell.exit != "coup")


def _retype(spell: Spell, ended_by: Attempt | None, died_in: Attempt | None) -> Spell:
    if ended_by is not None:
        same = spell.exit == "coup"
        note = "" if same else f"Archigos: {spell.exit.replace('_', ' ')}; Powell and Thyne: a successful coup"
        return replace(spell, exit="coup", note=note)
    if spell.exit == "coup" and spell.end is not None and spell.end >= ATTEMPTS_FROM:
        why = "the attempt failed within a week" if died_in else "no attempt"
        return replace(spell, exit="irregular", note=f"Archigos: removed by a coup; Powell and Thyne: {why}")
    return spell


def _move_exit(own: list[Spell], index: int, day: date) -> list[Spell]:
    """Return spells in which one ends after a day on which its leader was still challenged."""
    spell = own[index]
    if spell.end is None or spell.end > day:
        return own
    moved = [*own]
    moved[index] = replace(spell, end=day + DAY)
    if index + 1 < len(own) and own[index + 1].start <= day:
        moved[index + 1] = replace(own[index + 1], start=day + DAY)
    return moved


def settle_campaigns(spells: Sequence[Spell], campaigns: Sequence[Campaign], archigos_to: date) -> list[Spell]:
    """Return spells in which an armed campaign that succeeded after Archigos's last day removed the first leader to go.

    Since 1990, where Archigos can be asked, two of three such exits are removals by rebels, but only one of five in the
    year of an unarmed success is a removal by protest; most are regular. So unarmed ones stay as they are.
    """
    settled = [*spells]
    for campaign in campaigns:
        if not campaign.armed or campaign.result != "removed" or (campaign.last or 0) <= archigos_to.year:
            continue
        for index, spell in enumerate(settled):
            after = spell.country == campaign.country and spell.end is not None and spell.end > archigos_to
            if after and spell.exit == "regular" and spell.end is not None and spell.end.year == campaign.last:
                note = f"REIGN's exit in the year in which NAVCO's campaign {campaign.name} succeeded"
                settled[index] = replace(spell, exit="revolution", armed=campaign.armed, note=note)
                break
    return settled


def split_at(spells: Sequence[Spell], day: date) -> list[Spell]:
    """Return spells divided at a day on which a frame ends and another begins."""
    parts: list[Spell] = []
    for spell in spells:
        if spell.start < day and (spell.end is None or spell.end > day):
            parts.append(replace(spell, end=day, exit="frame_end", note=""))
            parts.append(replace(spell, start=day, entered=spell.start))
        else:
            parts.append(spell)
    return parts


# --- challenges ---------------------------------------------------------------------------------------------------


def list_coups(spells: Sequence[Spell], attempts: Sequence[Attempt], removed: dict[Attempt, Spell]) -> list[Challenge]:
    """Return coup attempts against leaders in office; those in a state without a leader are left out."""
    own = _by_country(spells)
    coups = []
    for attempt in attempts:
        spell = next((spell for spell in own[attempt.country] if spell.holds(attempt.day)), None)
        if spell is None:
            continue
        end, result, note = attempt.day + DAY, "failed", ""
        if attempt in removed:
            end, result = removed[attempt].end or end, "removed"
        elif attempt.successful:
            result, note = "concession", f"power was taken, but {spell.leader} stays the ruler in Archigos"
        known = attempt.day
        coups.append(
            Challenge(
                attempt.country,
                "coup_attempt",
                False,
                attempt.day,
                end,
                result,
                False,
                f"Coup attempt against {spell.leader}",
                known,
                "powell_thyne",
                note,
            )
        )
    return coups


def list_early_coups(spells: Sequence[Spell]) -> list[Challenge]:
    """Return the coups before attempts are listed, known by Archigos's removals alone."""
    note = "known by the removal alone: attempts are not listed before 1950"
    return [
        Challenge(
            spell.country, "coup_attempt", False, spell.end - DAY, spell.end, "removed", False, f"Coup against {spell.leader}",
            spell.end, spell.source, note,
        )
        for spell in spells
        if spell.exit == "coup" and spell.end is not None and spell.end < ATTEMPTS_FROM
    ]  # fmt: skip


def list_uprisings(spells: Sequence[Spell], campaigns: Sequence[Campaign]) -> list[Challenge]:
    """Return uprisings, one row for each leader that a campaign was aimed at.

    NAVCO has years only. A campaign of one year is given its second third; a longer one begins and ends in the
    middle of its first and last year. One that removed the leader ends with the exit, and one that did so in its
    first year begins half-way from New Year to the exit. One that NAVCO calls a success and Archigos no removal is
    a concession, and ends with the first exit of its last year if there was one.
    """
    causes = {spell: _cause(spell, campaigns) for spell in spells if spell.exit == "revolution"}
    own = _by_country(spells)
    found = [row for campaign in campaigns for row in _rows(campaign, own[campaign.country], causes)]
    alone = [spell for spell, campaign in causes.items() if campaign is None]
    return found + [_removal_alone(spell) for spell in alone]


def _cause(spell: Spell, campaigns: Sequence[Campaign]) -> Campaign | None:
    """Return the campaign that removed a leader: one that went on in the year of the exit, or ended the year before."""
    assert spell.end is not None
    year = spell.end.year
    possible = [
        campaign
        for campaign in campaigns
        if campaign.country == spell.country and campaign.first <= year <= (campaign.last or year) + 1
    ]
    return min(
        possible,
        key=lambda own: (own.result != "removed", own.armed != spell.armed, abs((own.last or year) - year), -own.first),
        default=None,
    )


def _rows(campaign: Campaign, own: Sequence[Spell], causes: dict[Spell, Campaign | None]) -> Iterator[Challenge]:
    """Return a campaign's row for each leader in office while it went on."""
    start, end = _days(campaign, own, causes)
    year_out = date(campaign.first, 12, 31)
    for spell in own:
        if (spell.end is not None and spell.end <= start) or (end is not None and spell.start >= end):
            continue
        began, over = max(start, spell.start), _earlier(end, spell.end)
        removed, final = causes.get(spell) is campaign, over == end
        stays = "concession" if campaign.result == "removed" else campaign.result
        result = "removed" if removed else stays if final else "failed"
        known = max(began, min(year_out, over) if removed and over is not None else year_out)
        note = "" if final or removed else "goes on when the leader is gone"
        yield Challenge(
            campaign.country,
            "uprising",
            campaign.armed,
            began,
            over,
            result,
            began > start,
            campaign.name,
            known,
            "navco",
            note,
        )


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


def _days(campaign: Campaign, own: Sequence[Spell], causes: dict[Spell, Campaign | None]) -> tuple[date, date | None]:
    """Return the days that a campaign is given."""
    first, last = campaign.first, campaign.last
    exits = sorted(spell.end for spell in own if causes.get(spell) is campaign and spell.end)
    if not exits and campaign.result == "removed":
        exits = sorted(
            spell.end for spell in own if spell.end and spell.end.year == last and spell.exit != "frame_end"
        )[:1]
    if exits and exits[0].year == first:
        new_year = date(first, 1, 1)
        start = min(new_year + (exits[0] - new_year) // 2, exits[0] - DAY)
    else:
        start = date(first, 5, 1) if first == last else date(first, 7, 1)
    if last is None:
        return start, None
    final = exits[-1] if exits and exits[-1].year >= last else None
    return start, final or (date(last, 8, 31) if first == last else date(last, 7, 1))


def _removal_alone(spell: Spell) -> Challenge:
    assert spell.end is not None
    start = max(spell.start, spell.end - KNOWN_BY_REMOVAL * DAY)
    name = f"{'Rebellion' if spell.armed else 'Popular protest'} that removed {spell.leader}"
    note = "known by the removal alone; the day it began is not known"
    return Challenge(
        spell.country, "uprising", spell.armed, start, spell.end, "removed", False, name, spell.end, spell.source, note
    )
