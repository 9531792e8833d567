"""A study beside the public data sets: what agrees, what differs, and the reason for each difference.

Only the overlap in time and country is compared: a study's windows (the unbroken stretches of its frame)
cut to the years that the data set covers. A difference is no fault; a difference without a reason is. The
reasons stand in the study's ``concordance.csv``.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.data import Data
from forecast.errors import DataError, Problem, UsageError
from forecast.importers import REGISTRY
from forecast.importers.columns import year_end, year_start

VERDICTS = ("agree", "differ", "only here", "only there", "not covered")
REASON_COLUMNS = ("dataset", "item", "country", "key", "reason")
SAME_STATE = {260: 255, 679: 678, 345: 340}  # Gleditsch-Ward and COW number Germany, Yemen and Serbia apart

SPELL_DAYS = 31  # first and last day of a spell
SPELL_TARGET = 0.97  # share of the spells that should be so near
STRANGER = 10_000  # days added to the gap of two names that are not alike, so that a person is matched first
SAME_PERSON = {"cixi": "tzu hsi", "kiril": "cyril", "kemal": "ataturk"}  # names of one person that share no spelling
COUP_DAYS = 7
CAMPAIGN_YEARS = 1
OTHER_CAMPAIGN = 5  # years apart beyond which it is not the same campaign
HALF_YEAR = 183  # days of a year that a window must hold for a yearly value to be about it
POLYARCHY_MARGIN = 0.1  # beyond the coder's own range
WAR_FRAME, SINCE = "inter_state_war", 1900  # the frame that promises every state at war since that year
COW_TO = 2007  # after it, a war between states is what UCDP counts as one of 1,000 deaths in a year
DEMOCRACY, AUTOCRACY = 0.6, 0.35  # polyarchy that no autocracy, and no democracy, should have
HEAVY_LOSS, LIGHT_LOSS = 0.01, 0.0001  # own battle deaths as a share of the population
HEAVY_BURDEN, LIGHT_BURDEN = 0.7, 0.3  # least and greatest war burden that fit them

Judge = Callable[[Any, Any], tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """One thing compared: a spell, coup, campaign, war or country-year, here and in a data set."""

    dataset: str
    item: str
    country: str
    ours: str
    theirs: str
    day_ours: Any
    day_theirs: Any
    verdict: str
    detail: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a reason is looked up by: the publisher's identifier, or ours where it has none."""
        return self.dataset, self.item, self.country, self.theirs or self.ours


def compare(data: Data, folder: Path, reasons: dict[tuple[str, ...], str] | None = None) -> pd.DataFrame:
    """Return everything compared between a study and the public data sets in a folder.

    Parameters
    ----------
    data : Data
        A study.
    folder : Path
        Holds the publishers' files, under any of their usual names.
    reasons : dict, optional
        As `read_reasons` returns them.

    Returns
    -------
    pandas.DataFrame
        The columns of `Finding` and ``reason``; one row for each thing compared.

    Raises
    ------
    UsageError
        When the folder holds none of the data sets.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    compared = dict.fromkeys(name for needed, _ in COMPARISONS for name in needed)
    found = {name: path for name in compared if (path := REGISTRY[name].find(folder))}
    if not found:
        raise UsageError(f"{folder} holds none of the data sets {', '.join(compared)}; see forecast/importers")
    tables = {name: REGISTRY[name].read(path) for name, path in found.items()}
    findings = [
        finding
        for needed, comparison in COMPARISONS
        if set(needed) <= set(tables)
        for finding in comparison(data, *(tables[name] for name in needed))
    ]
    rows = [{**asdict(finding), "reason": (reasons or {}).get(finding.key, "")} for finding in findings]
    return pd.DataFrame(rows, columns=[*Finding.__dataclass_fields__, "reason"])


def read_reasons(path: Path) -> dict[tuple[str, ...], str]:
    """Return the reasons for differences by data set, item, country and key; none where the file is missing."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != REASON_COLUMNS:
            remedy = f"the header is {','.join(REASON_COLUMNS)}"
            raise DataError([Problem(path.name, 1, None, None, "the columns are not those of reasons", remedy)])
        return {tuple(row[name] for name in REASON_COLUMNS[:4]): row["reason"] for row in reader}


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return counts of verdicts, the share of the overlap that agrees, and the differences with a reason."""
    by = [table["dataset"], table["item"]]
    counts = pd.crosstab(by, table["verdict"]).reindex(columns=list(VERDICTS), fill_value=0)
    explained = ((table["verdict"] != "agree") & (table["reason"] != "")).groupby(by).sum()
    overlap = counts.sum(axis=1) - counts["not covered"]
    return counts.assign(agreement=counts["agree"] / overlap, explained=explained)


def headlines(table: pd.DataFrame) -> list[str]:
    """Return what a study promises of its spells and challenges, in words."""
    verdict = table.loc[table["item"] == "spell", "verdict"].value_counts().reindex(list(VERDICTS), fill_value=0)
    agree, not_covered, only_there = (verdict[name] for name in ("agree", "not covered", "only there"))
    all_there = verdict.sum() - not_covered - only_there
    share = f" ({agree / all_there:.1%}; target {SPELL_TARGET:.0%})" if all_there else ""
    beside = f"{not_covered} more lie where it names nobody, and {only_there} of its own are not here"
    lines = [f"leader spells within {SPELL_DAYS} days of archigos: {agree} of {all_there}{share}; {beside}"]
    for name, items in (("powell_thyne", "coup attempts"), ("navco", "campaigns for a change of regime")):
        theirs = table[(table["dataset"] == name) & (table["theirs"] != "")]
        absent = theirs[theirs["ours"] == ""]
        given = (absent["reason"] != "").sum()
        lines.append(
            f"{items} of {name}: {len(theirs)}, here {len(theirs) - len(absent)}, absent with a reason {given}"
        )
    return lines


def unexplained(table: pd.DataFrame) -> pd.DataFrame:
    """Return the differences that have no reason, one row for each reason that is missing, with its ``key``."""
    bare = table[(table["verdict"] != "agree") & (table["reason"] == "")]
    bare = bare.assign(key=bare["theirs"].where(bare["theirs"] != "", bare["ours"]))
    return bare.drop_duplicates(list(REASON_COLUMNS[:4]))


# --- what every comparison needs ----------------------------------------------------------------------------------


def windows(data: Data, *covered: pd.Series) -> pd.DataFrame:
    """Return the windows of the frame, cut to the years that a data set covers: from the least to the greatest given."""
    first = pd.Timestamp(int(min(years.min() for years in covered)), 1, 1)
    last = pd.Timestamp(int(max(years.max() for years in covered)), 12, 31)
    rows = data.countries.sort_values(["country", "start"])
    begins = rows["country"].ne(rows["country"].shift()) | rows["start"].ne(rows["end"].shift())
    merged = rows.groupby(begins.cumsum()).agg(
        country=("country", "first"),
        state=("gw_code", "first"),
        start=("start", "first"),
        end=("end", lambda s: s.iloc[-1]),
    )
    merged["state"] = merged["state"].astype(int).replace(SAME_STATE)
    merged["start"], merged["end"] = merged["start"].clip(lower=first), merged["end"].fillna(last).clip(upper=last)
    return merged[merged["start"] < merged["end"]].rename_axis("window").reset_index()


def inside(rows: pd.DataFrame, frame: pd.DataFrame, on: str) -> pd.DataFrame:
    """Return what lies in a window, cut to it; ``cut_start`` and ``cut_end`` say where it was cut."""
    if on == "state":
        rows = rows.dropna(subset="state")
        rows = rows.assign(state=rows["state"].astype(int).replace(SAME_STATE))
    both = rows.merge(frame, on=on, suffixes=("", "_window"))
    ends = both["end"].fillna(both["end_window"])
    both = both[(both["start"] < both["end_window"]) & (ends >= both["start_window"])].assign(end=ends)
    both["cut_start"] = both["start"] <= both["start_window"]
    both["cut_end"] = both["end"] >= both["end_window"]
    both["start"] = both["start"].clip(lower=both["start_window"])
    both["end"] = both["end"].clip(upper=both["end_window"])
    return both.reset_index(drop=True)


def match(ours: pd.DataFrame, theirs: pd.DataFrame, gap: Callable[[pd.DataFrame], Any], tolerance: float) -> list[Any]:
    """Return pairs of row labels in one window, the nearest first, each row at most once.

    Parameters
    ----------
    gap : callable
        Days between the two of each pair, from the merged columns (theirs end in ``_theirs``).
    tolerance : float
        Greatest gap of a pair.
    """
    both = ours.reset_index().merge(theirs.reset_index(), on="window", suffixes=("", "_theirs"))
    both = both.assign(gap=gap(both)).sort_values("gap", kind="stable")
    both = both[both["gap"] <= tolerance]
    ours_of: dict[Any, Any] = {}
    for here, there in zip(both["index"], both["index_theirs"], strict=True):
        if here not in ours_of.values() and there not in ours_of:
            ours_of[there] = here
    return [(here, there) for there, here in ours_of.items()]


def settle(
    kind: tuple[str, str], ours: pd.DataFrame, theirs: pd.DataFrame, pairs: list[Any], judge: Judge
) -> Iterator[Finding]:
    """Return a finding for each pair, as judged, and for each row that has no partner."""
    for i, j in pairs:
        a, b = ours.loc[i], theirs.loc[j]
        yield Finding(*kind, a["country"], a["id"], b["id"], a["start"], b["start"], *judge(a, b))
    for _, a in ours.drop(index=[i for i, _ in pairs]).iterrows():
        yield Finding(*kind, a["country"], a["id"], "", a["start"], pd.NaT, "only here", a["label"])
    for _, b in theirs.drop(index=[j for _, j in pairs]).iterrows():
        yield Finding(*kind, b["country"], "", b["id"], pd.NaT, b["start"], "only there", b["label"])


def _apart(a: pd.Series, b: pd.Series) -> pd.Series:
    return (a - b).abs().dt.days


# --- leaders ------------------------------------------------------------------------------------------------------


def compare_spells(data: Data, archigos: pd.DataFrame) -> Iterator[Finding]:
    """Leader spells: first and last day within a month, and where both are whole, the manner of exit.

    Here every day has a leader, there some have none. Days that Archigos leaves empty are outside the overlap: a
    spell that runs on into them is not late, and one that lies in them altogether is not covered.
    """
    frame = windows(data, archigos["end"].dt.year)
    leaders = data.leaders.rename(columns={"spell_id": "id"}).assign(label=data.leaders["leader"])
    ours = inside(leaders, frame, "country")
    theirs = inside(_until_the_next(archigos).assign(label=archigos["leader"]), frame, "state")
    ours, theirs = _mark_slivers(ours), _mark_slivers(theirs)
    pairs = match(ours, theirs, _ends_apart, np.inf)  # spells that overlap are compared, however far their ends
    kept = ours[~ours["sliver"] | ours.index.isin([i for i, _ in pairs])]
    known = theirs[~theirs["sliver"] | theirs.index.isin([j for _, j in pairs])]
    vacant = {a["id"] for _, a in kept.iterrows() if _nobody_there(a, theirs)}
    for found in settle(("archigos", "spell"), kept, known, pairs, _judge_spell):
        yield replace(found, verdict="not covered") if found.verdict == "only here" and found.ours in vacant else found
    for i, j in pairs:
        a, b = ours.loc[i], theirs.loc[j]
        if not a["cut_end"] and not b["cut_end"] and pd.notna(b["exit"]) and a["exit"] != "frame_end":
            yield Finding("archigos", "exit", a["country"], a["id"], b["id"], a["end"], b["end"], *_judge_exit(a, b))


def _until_the_next(archigos: pd.DataFrame) -> pd.DataFrame:
    """Add the day to which nobody else is named after each spell."""
    rows = archigos.sort_values(["state", "start"], kind="stable")
    following = rows.groupby("state")["start"].shift(-1).fillna(pd.Timestamp.max.floor("D"))
    return archigos.assign(until=np.maximum(following, rows["end"]).reindex(archigos.index))


def _nobody_there(spell: Any, theirs: pd.DataFrame) -> bool:
    """Return whether Archigos names nobody on the days of a spell, but for the day of a change."""
    own = theirs[theirs["window"] == spell["window"]]
    shared = own["end"].clip(upper=spell["end"]) - own["start"].clip(lower=spell["start"])
    return bool((shared.dt.days <= 1).all())


def _mark_slivers(spells: pd.DataFrame) -> pd.DataFrame:
    """Mark what a window's edge has cut down to within the tolerance: unless it has a partner, that is its neighbour's date."""
    cut = spells["cut_start"] | spells["cut_end"]
    return spells.assign(sliver=cut & (_apart(spells["end"], spells["start"]) <= SPELL_DAYS))


def _ends_apart(both: pd.DataFrame) -> Any:
    overlap = (both["start"] <= both["end_theirs"]) & (both["start_theirs"] <= both["end"])
    gap = np.maximum(_apart(both["start"], both["start_theirs"]), _apart(both["end"], both["end_theirs"]))
    person = np.array([alike(*names) for names in zip(both["label"], both["label_theirs"], strict=True)], dtype=bool)
    stub = both["sliver"] | both["sliver_theirs"]
    return gap.where(person, gap + STRANGER).where(overlap & (person | ~stub))


def alike(one: str, other: str, likeness: float = 0.65) -> bool:
    """Return whether two names share a word, up to accents and spelling.

    Examples
    --------
    >>> alike("Konstantin Päts", "Pats"), alike("Mustafa Kemal", "Ataturk"), alike("Georgios Kafantaris", "Kaphantaris")
    (True, True, True)
    """
    words, others = _name_words(one), _name_words(other)
    return any(get_close_matches(word, others, 1, likeness) for word in words)


def _name_words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().replace("'", "")
    words = re.findall("[a-z]{3,}", plain)
    return words + [other for word in words for other in SAME_PERSON.get(word, "").split()]


def _judge_spell(a: Any, b: Any) -> tuple[str, str]:
    apart = [abs((a[end] - b[end]).days) for end in ("start", "end")]
    if b["end"] < a["end"] <= b["until"]:
        apart[1] = 0
    detail = f"{a['label']} here, {b['label']} there: start {apart[0]} days apart, end {apart[1]}"
    return "agree" if max(apart) <= SPELL_DAYS and alike(a["label"], b["label"]) else "differ", detail


def _judge_exit(a: Any, b: Any) -> tuple[str, str]:
    unspecified = b["exit"] == "irregular" and a["exit"] in ("coup", "revolution", "assassination")
    detail = f"{a['label']}: {a['exit']} here, {b['exit']} there"
    return "agree" if a["exit"] == b["exit"] or unspecified else "differ", detail


# --- challenges ---------------------------------------------------------------------------------------------------


def compare_coups(dataset: str, data: Data, coups: pd.DataFrame) -> Iterator[Finding]:
    """Coup attempts: within a week, and the same as to success; one there without a day is left out."""
    frame = windows(data, coups["day"].dt.year)
    label = coups["successful"].map({True: "successful", False: "failed"})
    theirs = inside(coups.assign(start=coups["day"], end=coups["day"], label=label), frame, "state")
    events = data.events.rename(columns={"event_id": "id"}).assign(label=data.events["name"])
    events = inside(events, frame, "country")
    ours, uprisings = events[events["kind"] == "coup_attempt"], events[events["kind"] == "uprising"]
    pairs = match(ours, theirs, _days_off, COUP_DAYS)
    rest = theirs.drop(index=[j for _, j in pairs])
    crossed = match(uprisings, rest, _days_off_an_end, COUP_DAYS)
    both = pd.concat([ours, uprisings.loc[[i for i, _ in crossed]]])
    yield from settle((dataset, "coup"), both, theirs, pairs + crossed, _judge_coup)


def _days_off(both: pd.DataFrame) -> Any:
    day = both["start_theirs"]
    return np.maximum(np.maximum((both["start"] - day).dt.days, (day - both["end"]).dt.days), 0)


def _days_off_an_end(both: pd.DataFrame) -> Any:
    return np.minimum(_apart(both["start"], both["start_theirs"]), _apart(both["end"], both["start_theirs"]))


def _judge_coup(a: Any, b: Any) -> tuple[str, str]:
    kind = a["kind"] == "coup_attempt" or b["outsiders"]
    same = kind and (a["result"] == "removed") == b["successful"]
    return "agree" if same else "differ", f"{a['kind'].replace('_', ' ')}, {a['result']} here; {b['label']} coup there"


def compare_campaigns(data: Data, navco: pd.DataFrame) -> Iterator[Finding]:
    """Campaigns for a change of regime against uprisings: begun and ended within a year of ours.

    Rows of one uprising that outlived a leader are joined first. Years alone do not tell campaigns of one
    country apart, so an uprising is matched only if it is named alike, if its row cites NAVCO, or if years
    and arms are the same.
    """
    frame = windows(data, navco["start_year"])
    asked = navco[navco["regime_change"] & navco["state"].notna()]
    spans = asked.assign(start=year_start(asked["start_year"]), end=year_end(asked["end_year"]))
    theirs = inside(spans, frame, "state")
    years = theirs["start_year"].astype(str) + "-" + theirs["end_year"].astype(str)
    theirs["label"] = theirs["name"] + " " + years + ", " + theirs["result"]
    uprisings = data.events[data.events["kind"] == "uprising"].rename(columns={"event_id": "id", "name": "label"})
    ours = inside(join_inherited(uprisings), frame, "country")
    pairs = match(ours, theirs, _years_off, OTHER_CAMPAIGN)
    yield from settle(("navco", "campaign"), ours, theirs, pairs, _judge_campaign)


def join_inherited(uprisings: pd.DataFrame) -> pd.DataFrame:
    """Return uprisings with the rows joined that carry one campaign on from leader to leader."""
    rows = uprisings.sort_values("start").set_index("id")
    first: dict[str, str] = {}
    for name, row in rows.iterrows():
        same = (rows["country"] == row["country"]) & (rows["armed"] == row["armed"])
        before = rows[same & (rows["end"] == row["start"])]
        going_on = before[before["result"] != "removed"].index if row["inherited"] else []  # not the side that won
        nearest = get_close_matches(name, [earlier for earlier in going_on if earlier in first], 1, 0.0)
        first[name] = first[nearest[0]] if nearest else name
    grouped = rows.groupby(pd.Series(first, name="id"))
    whole = dict.fromkeys(("country", "armed", "label", "sources"), "first")
    return grouped.agg({**whole, "start": "min", "end": "last", "result": "last"}).reset_index()


def _years_off(both: pd.DataFrame) -> Any:
    years = {end: both[end].dt.year for end in ("start", "end", "start_theirs", "end_theirs")}
    begin, finish = (years[end] - years[f"{end}_theirs"] for end in ("start", "end"))
    late, early = years["start"] - years["end_theirs"], years["start_theirs"] - years["end"]
    apart = np.maximum(begin.abs(), finish.abs()) + (both["armed"] != both["armed_theirs"])
    pairs = zip(both["label"], both["label_theirs"], strict=True)
    named = np.array([alike(*names, 0.8) for names in pairs], dtype=bool)
    cited = both["sources"].str.contains("navco")
    possible = (named | cited | (apart == 0)) & (np.maximum(late, early) <= CAMPAIGN_YEARS)
    preferred = 3 * (named & cited) + 0.5 * cited + 0.25 * (both["result"] == both["result_theirs"])
    return (apart - preferred).where(possible)


def _judge_campaign(a: Any, b: Any) -> tuple[str, str]:
    apart = max(abs(a[end].year - b[end].year) for end in ("start", "end"))
    detail = f"{b['label']} there; {a['start'].year}-{a['end'].year}, {a['result']} here (ends cut at the window)"
    return "agree" if apart <= CAMPAIGN_YEARS else "differ", detail


# --- readings -----------------------------------------------------------------------------------------------------


def in_force(data: Data, frame: pd.DataFrame, indicator: str) -> pd.DataFrame:
    """Return the first coder's readings with the days on which each is in force, cut to the windows."""
    readings = data.indicators[data.indicators["indicator"] == indicator]
    readings = readings[readings["coder"] == readings.groupby("country")["coder"].transform("min")]
    readings = readings.sort_values(["country", "observed_on"]).rename(columns={"observed_on": "start"})
    readings["end"] = readings.groupby("country")["start"].shift(-1)
    held = inside(readings[["country", "start", "end", "value", "low", "high"]], frame, "country")
    return held.loc[held["start"] < held["end"], ["country", "window", "start", "end", "value", "low", "high"]]


def by_year(data: Data, frame: pd.DataFrame, indicator: str) -> pd.DataFrame:
    """Return the least and greatest reading (and range) in force in each year that a window holds half of."""
    held = in_force(data, frame, indicator)
    key = ["country", "window", "year"]
    years = _each_year(frame).merge(_each_year(held), on=key, how="left", suffixes=("_window", ""))
    first = years["start_window"].clip(lower=year_start(years["year"]))
    days = (years["end_window"].clip(upper=year_end(years["year"])) - first).dt.days
    grouped = years[days >= HALF_YEAR].groupby([*key, "state"], as_index=False)
    table = grouped.agg(least=("value", "min"), most=("value", "max"), low=("low", "min"), high=("high", "max"))
    return table.fillna(0.0) if data.codebook.indicators[indicator].absent == "zero" else table.dropna()


def _each_year(rows: pd.DataFrame) -> pd.DataFrame:
    last = (rows["end"] - pd.Timedelta(days=1)).dt.year
    years = [range(start, end + 1) for start, end in zip(rows["start"].dt.year, last, strict=True)]
    return rows.assign(year=years).explode("year").astype({"year": int})


def yearly(kind: tuple[str, str], years: pd.DataFrame) -> Iterator[Finding]:
    """Return a finding for each country-year; years in a row with one verdict share the key of the first."""
    years = years.sort_values(["window", "year"])
    breaks = (years[["window", "verdict"]] != years[["window", "verdict"]].shift()).any(axis=1)
    breaks |= years["year"].diff() != 1
    first = years["year"].where(breaks).ffill().astype(int)
    for begin, row in zip(first, years.to_dict("records"), strict=True):
        day = pd.Timestamp(row["year"], 1, 1)
        key = f"{row['country']}-{begin}"
        yield Finding(*kind, row["country"], key, "", day, day, row["verdict"], f"{row['year']}: {row['detail']}")


def compare_sanctions(data: Data, gsdb: pd.DataFrame) -> Iterator[Finding]:
    """Sanctions: country-years with a case in force against country-years with a reading above zero."""
    frame = windows(data, gsdb["start_year"], gsdb["end_year"])
    spans = gsdb.assign(start=year_start(gsdb["start_year"]), end=year_end(gsdb["end_year"]) + pd.Timedelta(days=1))
    cases = _each_year(inside(spans, frame, "state"))
    senders = (cases["sender"] + " (" + cases["kinds"] + ")").groupby([cases["window"], cases["year"]]).agg("; ".join)
    years = by_year(data, frame, "sanctions").join(senders.rename("senders"), on=["window", "year"])
    here, there = years["most"] > 0, years["senders"].notna()
    years = years[here | there]
    verdict = np.select([here & there, here], ["agree", "only here"], "only there")[here | there]
    detail = years["most"].map("{:g} here; ".format) + years["senders"].fillna("no case there")
    yield from yearly(("gsdb", "sanctions"), years.assign(verdict=verdict, detail=detail))


def compare_polyarchy(data: Data, vdem: pd.DataFrame) -> Iterator[Finding]:
    """Electoral democracy: V-Dem's value within our range widened by a margin.

    Where the coders leaned on V-Dem this checks that nothing was mistyped; it is no second opinion.
    """
    years = _regime_years(data, vdem)
    near = (years["value"] >= years["low"] - POLYARCHY_MARGIN) & (years["value"] <= years["high"] + POLYARCHY_MARGIN)
    detail = years["low"].map("{:.2f}".format) + " to " + years["high"].map("{:.2f}".format) + " here; "
    detail += years["value"].map("{:.2f} there".format)
    yield from yearly(("vdem", "regime"), years.assign(verdict=np.where(near, "agree", "differ"), detail=detail))


def compare_regimes(data: Data, gwf: pd.DataFrame) -> Iterator[Finding]:
    """Autocracies that read as democracies here, and the other way round."""
    years = _regime_years(data, gwf.dropna(subset="regime"))
    autocracy = years["regime"] == "autocracy"
    odd = (autocracy & (years["least"] >= DEMOCRACY)) | (~autocracy & (years["most"] <= AUTOCRACY))
    detail = years["least"].map("{:g}".format) + " to " + years["most"].map("{:g} here; ".format) + years["regime"]
    yield from yearly(("gwf", "regime"), years.assign(verdict=np.where(odd, "differ", "agree"), detail=detail))


def _regime_years(data: Data, theirs: pd.DataFrame) -> pd.DataFrame:
    years = by_year(data, windows(data, theirs["year"]), "polyarchy")
    theirs = theirs.assign(state=theirs["state"].astype(int).replace(SAME_STATE)).drop(
        columns=["low", "high"], errors="ignore"
    )
    return years.merge(theirs.drop_duplicates(["state", "year"]), on=["state", "year"])


# --- war ----------------------------------------------------------------------------------------------------------


def compare_wars(data: Data, wars: pd.DataFrame) -> Iterator[Finding]:
    """Inter-state wars of the Correlates of War: a war burden above zero in each of their years."""
    yield from _compare_wars("cow_wars", data, wars, wars)
    yield from _not_in_the_frame("cow_wars", data, wars)


def compare_conflicts(data: Data, ucdp: pd.DataFrame) -> Iterator[Finding]:
    """Inter-state conflicts of UCDP; a burden here must be some armed conflict there, of whatever type."""
    between = ucdp[ucdp["inter_state"]]
    yield from _compare_wars("ucdp", data, _episodes(between), _episodes(ucdp))
    yield from _not_in_the_frame("ucdp", data, _episodes(between[between["war"] & (between["year"] > COW_TO)]))


def _episodes(ucdp: pd.DataFrame) -> pd.DataFrame:
    rows = ucdp.sort_values(["conflict", "state", "year"])
    same = (rows[["conflict", "state"]] == rows[["conflict", "state"]].shift()).all(axis=1) & (rows["year"].diff() <= 1)
    first = rows["year"].mask(same).ffill().astype(int)
    spans = rows.assign(first=first).groupby(["conflict", "state", "first"], as_index=False)["year"].max()
    label = [f"{c}-{s}-{y}" for c, s, y in zip(spans["conflict"], spans["state"], spans["first"], strict=True)]
    return spans.assign(id=label, start=year_start(spans["first"]), end=year_end(spans["year"]))


def _compare_wars(dataset: str, data: Data, wars: pd.DataFrame, known: pd.DataFrame) -> Iterator[Finding]:
    frame = windows(data, known["start"].dt.year, known["end"].dt.year)
    theirs, known = inside(wars.assign(begun=wars["start"].dt.year), frame, "state"), inside(known, frame, "state")
    ours = in_force(data, frame, "war_burden").query("value > 0")
    for _, b in theirs.iterrows():
        years = _years_at_war(b)
        own = ours[ours["window"] == b["window"]]
        at_war = [y for y in years if ((own["start"].dt.year <= y) & (own["end"].dt.year >= y)).any()]
        verdict = "agree" if at_war == years else "differ" if at_war else "only there"
        detail = f"at war {len(at_war)} of {len(years)} years here ({b['start'].year}-{b['end'].year} there)"
        if years:
            yield Finding(dataset, "war", b["country"], "", b["id"], pd.NaT, b["start"], verdict, detail)
    for _, a in _stretches(ours).iterrows():
        listed = known[(known["window"] == a["window"]) & (known["start"] < a["end"]) & (known["end"] > a["start"])]
        if listed.empty:
            key = f"{a['country']}-{a['start'].year}"
            detail = f"{a['start'].date()} to {a['end'].date()}, burden {a['value']:g}"
            yield Finding(dataset, "war", a["country"], key, "", a["start"], pd.NaT, "only here", detail)


def _not_in_the_frame(dataset: str, data: Data, wars: pd.DataFrame) -> Iterator[Finding]:
    """States at war that the war frame does not have in the first or the last year of their war."""
    if not data.countries["frame"].eq(WAR_FRAME).any():
        return
    frame = windows(data, wars["start"].dt.year, wars["end"].dt.year)
    frame = _each_year(frame.assign(end=frame["end"] + pd.Timedelta(days=1)))
    here = set(zip(frame["state"], frame["year"], strict=True))
    for b in wars[wars["end"].dt.year >= SINCE].to_dict("records"):
        state, years = SAME_STATE.get(b["state"], b["state"]), {b["start"].year, b["end"].year}
        missed = sorted(year for year in years if (state, year) not in here)
        if missed:
            detail = f"state {int(state)} is at war there and not in the frame in {missed[0]}"
            yield Finding(dataset, "war", str(int(state)), "", b["id"], pd.NaT, b["start"], "only there", detail)


def _years_at_war(war: Any) -> list[int]:
    """Return the years of a war that a window holds half of, or in which both began."""
    edges = [(y, max(war["start_window"], pd.Timestamp(y, 1, 1)), min(war["end_window"], pd.Timestamp(y, 12, 31)))
             for y in range(war["start"].year, war["end"].year + 1)]  # fmt: skip
    opens = war["start_window"].year if war["start_window"].year == war["begun"] else None
    return [y for y, first, last in edges if y == opens or (last - first).days >= HALF_YEAR]


def _stretches(readings: pd.DataFrame) -> pd.DataFrame:
    """Join readings that follow one another, with the greatest value."""
    joined = (readings["window"] == readings["window"].shift()) & (readings["start"] == readings["end"].shift())
    grouped = readings.groupby((~joined).cumsum())
    return grouped.agg({"country": "first", "window": "first", "start": "first", "end": "last", "value": "max"})


def compare_burden(data: Data, wars: pd.DataFrame, nmc: pd.DataFrame) -> Iterator[Finding]:
    """War burden against own battle deaths as a share of the population when the war began."""
    frame = windows(data, wars["start"].dt.year, wars["end"].dt.year)
    people = nmc.assign(state=nmc["state"].replace(SAME_STATE), begun=nmc["year"]).drop_duplicates(["state", "begun"])
    theirs = inside(wars.assign(begun=wars["start"].dt.year), frame, "state").merge(people, on=["state", "begun"])
    burden = in_force(data, frame, "war_burden")
    for b in theirs.dropna(subset=["deaths", "population"]).to_dict("records"):
        own = burden[(burden["window"] == b["window"]) & (burden["start"] < b["end"]) & (burden["end"] > b["start"])]
        share, most = b["deaths"] / b["population"], own["value"].max()
        if LIGHT_LOSS <= share <= HEAVY_LOSS or not _years_at_war(b):
            continue
        fits = most >= HEAVY_BURDEN if share > HEAVY_LOSS else most <= LIGHT_BURDEN
        detail = f"burden up to {most:g} here; {share:.3%} of the population killed in battle there"
        verdict = "agree" if fits else "differ"
        yield Finding("nmc", "burden", b["country"], "", b["id"], pd.NaT, b["start"], verdict, detail)


COMPARISONS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Finding]]], ...] = (
    (("archigos",), compare_spells),
    (("powell_thyne",), lambda data, coups: compare_coups("powell_thyne", data, coups.assign(outsiders=False))),
    (("cline",), lambda data, coups: compare_coups("cline", data, coups[coups["attempted"]])),
    (("navco",), compare_campaigns),
    (("cow_wars",), compare_wars),
    (("ucdp",), compare_conflicts),
    (("gsdb",), compare_sanctions),
    (("vdem",), compare_polyarchy),
    (("gwf",), compare_regimes),
    (("cow_wars", "nmc"), compare_burden),
)
