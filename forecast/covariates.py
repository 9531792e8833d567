"""The panel's indicators: what a contemporary could say of each country at the end of each year.

Every reading is dated by the day on which it could be known, and made of nothing later: what a state is (regime, leader,
wars, campaigns, sanctions) is known at the end of its year, a statistic of a year at the end of the next. Histories of
coups are also brought up to date on the day of an event. A reading is written where the value changes.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast import sanctions
from forecast.importers.names import country_code

type Tables = Mapping[str, pd.DataFrame]
type Values = pd.DataFrame  # country, day, value, and low and high where the source has them
type Make = Callable[[Tables], Values]

LISTED = Path(__file__).parent / "covariates.toml"
FIRST = 1949  # the end of this year is the first day on which anything is read
YEAR = 365.25
NEVER = 60.0  # years since the last attempt where there was none
MIDDLE = 0.4  # of electoral democracy, where coups are most frequent
PARTY = ("Dominant Party", "Party-Personal", "Party-Military", "Party-Personal-Military Hybrid")
PERSONAL = ("Personal Dictatorship", "Military-Personal", "Party-Personal", "Party-Personal-Military Hybrid")
MILITARY = (
    "Military", "Military-Personal", "Indirect Military", "Party-Military", "Party-Personal-Military Hybrid",
    "Provisional - Military",
)  # fmt: skip
# What GSDB calls a kind of sanction, in the words of `sanctions.KINDS`; its trade sanctions bar anything from one good to
# all trade. It does not give the senders' share of the target's trade.
SANCTION_KINDS = {
    "trade": "staple", "financial": "finance", "arms": "arms", "military": "arms", "travel": "persons", "other": "persons",
}  # fmt: skip
SENDERS = "large"


def build(tables: Tables, countries: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the readings of every indicator whose data sets are there, and the entries of the codebook.

    Parameters
    ----------
    tables : mapping
        The importers' tables by name, and the panel's ``leaders`` and ``events``.
    countries : pandas.DataFrame
        The panel's countries.

    Returns
    -------
    readings : pandas.DataFrame
        ``country``, ``indicator``, ``observed_on``, ``value``, ``low``, ``high``, ``known_on``, ``sources``. Both days
        are the one on which the value could be known, so that a fit learns from what a forecast will have.
    entries : dict
    """
    tables = {**tables, "grid": list_days(countries, tables["events"])}
    listed = tomllib.loads(LISTED.read_text(encoding="utf-8"))
    chosen = {name: item for name, item in listed.items() if all(need in tables for need in item.get("needs", ()))}
    readings = pd.concat([_readings(name, item, MAKERS[name](tables)) for name, item in chosen.items()])
    entries = {
        name: {**{key: item[key] for key in ("label", "unit", "range")}, "role": "measured",
               "absent": item.get("absent", "missing"), "sources": ", ".join(item["cite"])}
        for name, item in chosen.items()
    }  # fmt: skip
    return readings.reset_index(drop=True), entries


def _readings(name: str, item: Mapping[str, Any], values: Values) -> pd.DataFrame:
    """Return values as readings: inside the scale, to four digits, and only where they change."""
    rows = values.dropna(subset=["value"]).sort_values(["country", "day"], kind="stable")
    for column in ("value", "low", "high"):
        given = rows[column] if column in rows else rows["value"]
        rows[column] = given.astype(float).clip(*item["range"]).round(4)
    rows = rows.drop_duplicates(["country", "day"], keep="last")[["country", "day", "value", "low", "high"]]
    rows = rows[(rows.drop(columns="day") != rows.drop(columns="day").shift()).any(axis=1)]
    dated = rows.rename(columns={"day": "observed_on"}).assign(known_on=rows["day"])
    return dated.assign(indicator=name, sources=";".join(item["cite"]))


# --- tables of states and years -----------------------------------------------------------------------------------


def list_days(countries: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return every country and year's end from `FIRST` to the last year of the events.

    Returns
    -------
    pandas.DataFrame
        ``country``, ``group``, ``year``, ``day``, ``states`` (of the group in the panel on that day). A country
        stands in for years outside the panel too, so that windows find what was read before they open.
    """
    years = pd.Series(range(FIRST, int(events["start"].dt.year.max()) + 1), name="year")
    every = countries.sort_values("start").merge(pd.DataFrame({"year": years, "day": _ends(years)}), how="cross")
    there = every[(every["start"] <= every["day"]) & ~(every["end"] <= every["day"])]
    states = there.groupby(["group", "year"])["country"].nunique().rename("states")
    grid = every.drop_duplicates(["country", "year"], keep="last")[["country", "group", "year", "day"]]
    return grid.merge(states.reset_index(), on=["group", "year"], how="left").reset_index(drop=True)


def _ends(years: pd.Series) -> pd.Series:
    """Return the last day of each year."""
    return pd.to_datetime(years.astype(int).astype(str) + "-12-31").astype("datetime64[s]")


def _coded(states: Iterable[Any], years: Iterable[Any]) -> list[str | None]:
    return [country_code(int(state), int(year)) for state, year in zip(states, years, strict=True)]


def yearly(table: pd.DataFrame, value: Any, lag: int = 0, **bounds: str) -> Values:
    """Return a yearly table's values, each on the last day of its year or of a later one.

    Parameters
    ----------
    table : pandas.DataFrame
        ``state`` (number) and ``year``.
    value : str or array
        A column, or values in the table's order; `bounds` name the columns of ``low`` and ``high``.
    lag : int
        Years after which a figure is known.
    """
    rows = table[["state", "year"]].assign(value=table[value] if isinstance(value, str) else value)
    rows = rows.assign(**{name: table[column] for name, column in bounds.items()}).dropna(subset=["state", "value"])
    rows = rows.assign(country=_coded(rows["state"], rows["year"]), day=_ends(rows["year"] + lag))
    rows = rows.dropna(subset=["country"]).sort_values(["country", "year", "state"])
    return rows[rows["year"] >= FIRST - 10].drop_duplicates(["country", "year"], keep="last")


def change(values: Values, years: int) -> Values:
    """Return the change of a yearly value over some years, per year."""
    before = values[["country", "year", "value"]].assign(year=values["year"] + years)
    both = values[["country", "year", "day", "value"]].merge(before, on=["country", "year"], suffixes=("", "_before"))
    return both.assign(value=(both["value"] - both["value_before"]) / years)


def count(tables: Tables, rows: pd.DataFrame, source: str, most: str | None = None) -> Values:
    """Return how many rows of (state, year) each country has at each year's end, or the largest of a column.

    None is 0, but only to the last year that the source covers.
    """
    rows = rows.dropna(subset=["state", "year"])
    found = rows.assign(country=_coded(rows["state"], rows["year"]), year=rows["year"].astype(int)).groupby(["country", "year"])  # fmt: skip
    number = (found[most].max() if most else found.size()).rename("value").astype(float)
    grid = tables["grid"][tables["grid"]["year"] <= covered_to(tables[source])]
    return grid.merge(number.reset_index(), on=["country", "year"], how="left").fillna({"value": 0.0})


def covered_to(table: pd.DataFrame) -> int:
    """Return the last year in which something in a table begins or is counted."""
    return int(table["year" if "year" in table else "start_year"].max())


def flag(values: Values) -> Values:
    """Return 1 where a count is above 0."""
    return values.assign(value=(values["value"] > 0).astype(float))


def spans(tables: Tables, source: str) -> pd.DataFrame:
    """Return one row for each year of a source's rows, from ``start_year`` to ``last``; what has no end goes on."""
    rows, now = tables[source].dropna(subset=["state", "start_year"]), int(tables["grid"]["year"].max())
    rows = rows.assign(last=rows["end_year"].fillna(now + 1).astype(int))
    length = (rows["last"].clip(upper=now) - rows["start_year"] + 1).clip(lower=1).astype(int)
    out = rows.loc[rows.index.repeat(length)]
    return out.assign(year=out["start_year"] + out.groupby(level=0).cumcount())


def _log(values: pd.Series) -> pd.Series:
    values = values.astype(float)
    return pd.Series(np.log(values.where(values > 0)), values.index)


# --- states, their leaders and their statistics -------------------------------------------------------------------


def _polyarchy(tables: Tables) -> Values:
    return yearly(tables["vdem"], "value", low="low", high="high")


def _mixed_regime(tables: Tables) -> Values:
    values = _polyarchy(tables).drop(columns=["low", "high"])
    return values.assign(value=(values["value"].astype(float) - MIDDLE) ** 2)


def _statistic(source: str, column: str) -> Make:
    """Return the maker of the log of a yearly figure, known a year later."""
    return lambda tables: yearly(tables[source], _log(tables[source][column]), lag=1)


def _growth(years: int) -> Make:
    return lambda tables: change(_statistic("gdp_pop", "income")(tables), years)


def _spending_per_soldier(tables: Tables) -> Values:
    forces = tables["nmc"]
    return yearly(forces, _log(forces["spending"] * 1000) - _log(forces["personnel"]), lag=1)


def _government(names: tuple[str, ...]) -> Make:
    return lambda tables: yearly(tables["reign"], tables["reign"]["government"].str.strip().isin(names).astype(float))


def _reign(column: str) -> Make:
    return lambda tables: yearly(tables["reign"], tables["reign"][column].astype("Float64"))


def _age(source: str) -> Make:
    """Return the maker of log(1 + years since the last start of a state's rows), up to the last end that the source knows."""

    def make(tables: Tables) -> Values:
        rows = tables[source].dropna(subset=["start", "state"]).sort_values("start")
        starts = rows[["start"]].astype("datetime64[s]")
        starts = starts.assign(country=_coded(rows["state"], rows["start"].dt.year)).dropna()
        grid = tables["grid"].sort_values("day")
        found = pd.merge_asof(grid, starts, left_on="day", right_on="start", by="country")
        known = found["day"].dt.year <= rows["end"].max().year
        return found[known].assign(value=np.log1p((found["day"] - found["start"]).dt.days / YEAR))

    return make


# --- conflict, campaigns, sanctions -------------------------------------------------------------------------------


def _conflict(*over: str) -> Make:
    def make(tables: Tables) -> Values:
        rows = tables["ucdp"]
        return count(tables, rows[(rows["side"] == "a") & ~rows["inter_state"] & rows["over"].isin(over)], "ucdp", "intensity")  # fmt: skip

    return make


def _war_balance(tables: Tables) -> Values:
    """Return the power ratio of the sides of each inter-state conflict, the worst where there are several.

    Capabilities are the year before's, as known at the time; a side of which none are known has no ratio.
    """
    power = tables["nmc"][["state", "year", "cinc"]].assign(year=tables["nmc"]["year"] + 1)
    rows = tables["ucdp"][tables["ucdp"]["inter_state"]].merge(power, on=["state", "year"], how="left")
    rows["side"] = rows["side"].str[0]
    key = ["conflict", "year"]
    own = rows.groupby([*key, "side"])["cinc"].transform("sum", min_count=1)
    enemy = rows.groupby(key)["cinc"].transform("sum", min_count=1) - own
    weakness = rows.assign(weakness=-((own - enemy) / (own + enemy)).astype(float).where(enemy > 0))
    found = count(tables, weakness.dropna(subset=["weakness"]), "ucdp", "weakness")
    return found.assign(value=-found["value"])


def _open_campaign(*, armed: bool) -> Make:
    """Return the maker of a flag for campaigns for a change of regime that are not over at the year's end."""

    def make(tables: Tables) -> Values:
        rows = spans(tables, "navco")
        aimed = rows["regime_change"].fillna(False).astype(bool) & (rows["armed"] == armed).fillna(False)
        return flag(count(tables, rows[aimed & (rows["year"] < rows["last"])], "navco"))

    return make


def _campaign_wave(tables: Tables) -> Values:
    rows = tables["navco"].dropna(subset=["state", "start_year"])
    rows = rows[rows["regime_change"].fillna(False).astype(bool) & (rows["armed"] == False).fillna(False)]  # noqa: E712 - three values
    begun = count(tables, rows.assign(year=rows["start_year"]), "navco")
    sums = begun.groupby(["group", "year"])["value"].sum()
    before = sums.rename(index=lambda year: year + 1, level="year").reindex(sums.index, fill_value=0.0)
    both = pd.MultiIndex.from_frame(begun[["group", "year"]])
    return begun.assign(value=(sums + before).reindex(both).to_numpy() / begun["states"])


def _sanctions(tables: Tables) -> Values:
    """Return the severity of the sanctions in force: 1 - the product over kinds of 1 - depth x reach."""
    rows = spans(tables, "gsdb")
    rows = rows.assign(kind=rows["kinds"].str.split("+")).explode("kind")
    rows["kind"] = rows["kind"].map(SANCTION_KINDS)
    rows = rows.dropna(subset=["kind"]).drop_duplicates(["state", "year", "kind"])
    reach, _, _ = sanctions.reach(SENDERS)
    rows["spared"] = [1 - sanctions.KINDS[kind][0] * (1 if kind in sanctions.FLAT else reach) for kind in rows["kind"]]
    spared = rows.groupby(["state", "year"], as_index=False)["spared"].prod()
    return count(tables, spared.assign(severity=1 - spared["spared"]), "gsdb", "severity")


def _sanction_cases(tables: Tables) -> Values:
    cases = count(tables, spans(tables, "gsdb"), "gsdb")
    return cases.assign(value=np.log1p(cases["value"]))


# --- histories of events ------------------------------------------------------------------------------------------


def attempts(tables: Tables) -> pd.DataFrame:
    """Return the day of each coup attempt, and whether anything came of it."""
    rows = tables["events"][tables["events"]["kind"] == "coup_attempt"]
    gained = (rows["result"] != "failed").astype(float)
    return pd.DataFrame({"country": rows["country"], "day": rows["start"], "weight": gained})


def revolts(tables: Tables) -> pd.DataFrame:
    """Return the day of each removal by an uprising."""
    rows = tables["leaders"][(tables["leaders"]["exit"] == "revolution") & tables["leaders"]["end"].notna()]
    return pd.DataFrame({"country": rows["country"], "day": rows["end"], "weight": 1.0})


def history(days: Callable[[Tables], pd.DataFrame], value: Callable[[Any, Any], Any]) -> Make:
    """Return the maker of a value of past events, at each year's end and on the day of each event.

    `days` gives ``country``, ``day`` and ``weight``; `value` takes ages in years and weights of what is not in the future.
    """

    def make(tables: Tables) -> Values:
        events = days(tables)
        known = events[events["day"].dt.year > FIRST]
        moments = pd.concat([tables["grid"][["country", "day"]], known[["country", "day"]]]).drop_duplicates()
        moments["value"] = math.nan
        own = dict(list(events.groupby("country")))
        for country, place in moments.groupby("country").indices.items():
            past = own.get(country, events[:0])
            ages = (moments["day"].to_numpy()[place, None] - past["day"].to_numpy()) / np.timedelta64(1, "D") / YEAR
            found = [value(age[age >= 0], past["weight"].to_numpy()[age >= 0]) for age in ages]
            moments.iloc[place, moments.columns.get_loc("value")] = found
        return moments

    return make


def _halving(years: float) -> Callable[[Any, Any], Any]:
    return lambda age, _: np.sum(0.5 ** (age / years))


def _success_share(age: Any, success: Any) -> Any:
    weight = 0.5 ** (age / 20)
    return (1 + (weight * success).sum()) / (2 + weight.sum())


MAKERS: dict[str, Make] = {
    "attempt_recency": history(attempts, lambda age, _: math.log(min(age.min(initial=NEVER), NEVER) + 0.25)),
    "attempt_last": history(attempts, lambda age, _: math.exp(-age.min(initial=math.inf) / 2)),
    "attempt_history": history(attempts, _halving(3)),
    "success_share": history(attempts, _success_share),
    "revolt_history": history(revolts, _halving(20)),
    "revolt_recent": history(revolts, _halving(10)),
    "polyarchy": _polyarchy,
    "mixed_regime": _mixed_regime,
    "polyarchy_change": lambda tables: change(_polyarchy(tables), 3),
    "income": _statistic("wdi_gdp", "income"),
    "growth": _growth(1),
    "growth_3": _growth(3),
    "infant_mortality": _statistic("infant_mortality", "deaths"),
    "population": _statistic("gdp_pop", "population"),
    "spending_per_soldier": _spending_per_soldier,
    "excluded": lambda tables: yearly(tables["epr"], "excluded"),
    "party_rule": _government(PARTY),
    "personal_rule": _government(PERSONAL),
    "military_rule": _government(MILITARY),
    "provisional_rule": _government(("Provisional - Civilian",)),
    "soldier": _reign("military"),
    "irregular_ahead": _reign("irregular_ahead"),
    "leader_election": _reign("leader_election_recent"),
    "regime_age": _age("reign_regimes"),
    "state_age": _age("gw_states"),
    "campaign": lambda tables: flag(count(tables, spans(tables, "navco"), "navco")),
    "armed_campaign": _open_campaign(armed=True),
    "unarmed_campaign": _open_campaign(armed=False),
    "campaign_wave": _campaign_wave,
    "conflict": _conflict("government", "territory", "both"),
    "government_conflict": _conflict("government", "both"),
    "inter_state_conflict": lambda tables: flag(count(tables, tables["ucdp"][tables["ucdp"]["inter_state"]], "ucdp")),
    "war_balance": _war_balance,
    "sanctions": _sanctions,
    "sanction_cases": _sanction_cases,
}
