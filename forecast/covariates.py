"""The panel's indicators: what a contemporary could say of each country at the end of each year.

Every indicator is a number for a country on the last day of a year, made from facts of that day or earlier: what a
state is (regime, leader, wars, campaigns, sanctions) is known at once, statistics of a year only in the next. Histories
of coups are also brought up to date on the day of an event. A reading is written where the value changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecast.importers.names import country_code

type Tables = Mapping[str, pd.DataFrame]
type Values = pd.DataFrame  # country, day, value, and low and high where the source has them

FIRST = 1949  # the end of this year is the first day on which anything is read
YEAR = 365.25
NEVER = 60.0  # years since the last attempt where there was none
MILITARY = ("Military", "Military-Personal", "Indirect Military", "Party-Military", "Party-Personal-Military Hybrid", "Provisional - Military")  # fmt: skip
PARTY = ("Dominant Party", "Party-Personal", "Party-Military", "Party-Personal-Military Hybrid")
PERSONAL = ("Personal Dictatorship", "Military-Personal", "Party-Personal", "Party-Personal-Military Hybrid")


@dataclass(frozen=True)
class Covariate:
    """An indicator of the panel: how it is described, what it needs and how it is made."""

    label: str
    unit: str
    range: tuple[float, float]
    sources: tuple[str, ...]  # importers
    cite: tuple[str, ...]  # keys of sources.bib
    make: Callable[[Tables], Values]
    absent: str = "missing"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of the codebook."""
        return {
            "label": self.label, "unit": self.unit, "range": list(self.range), "role": "measured", "absent": self.absent,
            "sources": ", ".join(self.cite),
        }  # fmt: skip


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
        ``country``, ``indicator``, ``observed_on``, ``value``, ``low``, ``high``, ``known_on``, ``sources``.
    entries : dict
    """
    tables = {**tables, "grid": list_days(countries, tables["events"])}
    chosen = {name: item for name, item in COVARIATES.items() if all(source in tables for source in item.sources)}
    parts = [_readings(name, item, item.make(tables)) for name, item in chosen.items()]
    return pd.concat(parts, ignore_index=True), {name: item.entry for name, item in chosen.items()}


def list_days(countries: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return every country and year's end from `FIRST` to the last year of the events, with number and group.

    A country stands in for all years up to its end, so that windows find what was read before they open.
    """
    last = int(events["start"].dt.year.max())
    days = pd.DataFrame({"day": _ends(pd.Series(range(FIRST, last + 1)))})
    first = countries.sort_values("start").drop_duplicates("country", keep="last")[["country", "gw_code", "group"]]
    grid = first.merge(days, how="cross")
    return grid.assign(year=grid["day"].dt.year)


def _ends(years: pd.Series) -> pd.Series:
    """Return the last day of each year."""
    return pd.to_datetime(years.astype(str) + "-12-31").astype("datetime64[s]")


def _readings(name: str, item: Covariate, values: Values) -> pd.DataFrame:
    """Return values as readings: inside the scale, to four digits, and only where they change."""
    rows = values.dropna(subset=["value"]).sort_values(["country", "day"], kind="stable")
    for column in ("value", "low", "high"):
        given = rows[column] if column in rows else rows["value"]
        rows[column] = given.astype(float).clip(*item.range).round(4)
    same = rows[["country", "value", "low", "high"]].eq(rows[["country", "value", "low", "high"]].shift()).all(axis=1)
    rows = rows[~same].drop_duplicates(["country", "day"], keep="last")
    return pd.DataFrame({
        "country": rows["country"], "indicator": name, "observed_on": rows["day"], "value": rows["value"],
        "low": rows["low"], "high": rows["high"], "known_on": rows["day"], "sources": ";".join(item.cite),
    })  # fmt: skip


# --- yearly tables ------------------------------------------------------------------------------------------------


def yearly(table: pd.DataFrame, value: Any, lag: int = 0, **bounds: Any) -> Values:
    """Return a yearly table's values, each on the last day of its year or of a later one.

    Parameters
    ----------
    table : pandas.DataFrame
        ``state`` (number) and ``year``.
    value : str or array
        A column, or values in the table's order; `bounds` likewise for ``low`` and ``high``.
    lag : int
        Years after which a figure is known.
    """
    columns = {"value": value, **bounds}
    rows = table[["state", "year"]].astype(int)
    rows = rows.assign(**{n: (table[v] if isinstance(v, str) else v) for n, v in columns.items()})
    rows = rows[rows["value"].notna() & (rows["year"] >= FIRST - 10)]
    rows["country"] = [country_code(s, y) for s, y in zip(rows["state"], rows["year"], strict=True)]
    rows["day"] = _ends(rows["year"] + lag)
    return rows.dropna(subset=["country"]).sort_values(["country", "year", "state"]).drop_duplicates(["country", "year"], keep="last")  # fmt: skip


def change(values: Values, years: int) -> Values:
    """Return the change of a yearly value over some years, per year."""
    before = values[["country", "year", "value"]].assign(year=values["year"] + years)
    both = values.merge(before, on=["country", "year"], suffixes=("", "_before"))
    return both.assign(value=(both["value"] - both["value_before"]) / years)[["country", "year", "day", "value"]]


def count(tables: Tables, rows: pd.DataFrame, source: str, size: str | None = None) -> Values:
    """Return how many rows of (state, year) each country has at each year's end, or the largest of a column.

    None is 0, but only to the last year that the source covers.
    """
    rows = rows.dropna(subset=["state", "year"]).astype({"state": int, "year": int})
    rows = rows.assign(country=[country_code(s, y) for s, y in zip(rows["state"], rows["year"], strict=True)])
    found = rows.groupby(["country", "year"])
    number = found[size].max() if size else found.size()
    grid = tables["grid"][tables["grid"]["year"] <= covered_to(tables[source])]
    return grid.merge(number.rename("value").reset_index(), on=["country", "year"], how="left").fillna({"value": 0.0})


def covered_to(table: pd.DataFrame) -> int:
    """Return the last year in which something in a table begins or is counted."""
    return int(table["year" if "year" in table else "start_year"].max())


def flag(values: Values) -> Values:
    """Return 1 where a count is above 0."""
    return values.assign(value=(values["value"] > 0).astype(float))


def spans(rows: pd.DataFrame, first: Any, last: Any) -> pd.DataFrame:
    """Return one row per year from a first to a last year, the running year being the last that counts."""
    length = (last.astype(int) - first.astype(int) + 1).clip(lower=1)
    out = rows.loc[rows.index.repeat(length)]
    return out.assign(year=first.astype(int).repeat(length) + out.groupby(level=0).cumcount())


def _log(values: pd.Series) -> pd.Series:
    return np.log(values.astype(float).where(values.astype(float) > 0))


def _polyarchy(tables: Tables) -> Values:
    return yearly(tables["vdem"], "value", low="low", high="high")


def _income(tables: Tables) -> Values:
    return yearly(tables["wdi_gdp"], _log(tables["wdi_gdp"]["income"]), lag=1)


def _long_income(tables: Tables) -> Values:
    return yearly(tables["gdp_pop"], _log(tables["gdp_pop"]["income"]), lag=1)


def _government(names: tuple[str, ...]) -> Callable[[Tables], Values]:
    return lambda tables: yearly(tables["reign"], tables["reign"]["government"].str.strip().isin(names).astype(float))


def _reign(column: str) -> Callable[[Tables], Values]:
    return lambda tables: yearly(tables["reign"], tables["reign"][column].astype("Float64"))


def _since_start(spans_: pd.DataFrame, tables: Tables) -> Values:
    """Return log(1 + years since the last start of a state's spans) at each year's end."""
    rows = spans_.dropna(subset=["start", "state"]).sort_values("start")
    rows = rows.assign(
        country=[country_code(int(s), d.year) for s, d in zip(rows["state"], rows["start"], strict=True)]
    )
    rows = rows.dropna(subset=["country"])[["country", "start"]]
    found = pd.merge_asof(tables["grid"].sort_values("day"), rows, left_on="day", right_on="start", by="country")
    return found.assign(value=np.log1p((found["day"] - found["start"]).dt.days / YEAR))


def _regime_age(tables: Tables) -> Values:
    return _since_start(tables["reign_regimes"], tables)


def _state_age(tables: Tables) -> Values:
    return _since_start(tables["gw_states"], tables)


# --- conflict, campaigns, sanctions ---------------------------------------------------------------------------------


def _conflict(over: tuple[str, ...]) -> Callable[[Tables], Values]:
    def make(tables: Tables) -> Values:
        rows = tables["ucdp"]
        own = rows[(rows["side"] == "a") & ~rows["inter_state"] & rows["over"].isin(over)]
        return count(tables, own.assign(intensity=own["intensity"].astype(float)), "ucdp", "intensity")

    return make


def _inter_state(tables: Tables) -> Values:
    return flag(count(tables, tables["ucdp"][tables["ucdp"]["inter_state"]], "ucdp"))


def _campaign_years(tables: Tables, *, last_too: bool) -> pd.DataFrame:
    """Return one row per campaign and year in which it goes on at the year's end, or in its last year too."""
    rows = tables["navco"].dropna(subset=["state", "start_year"])
    end = rows["end_year"].fillna(tables["grid"]["year"].max()).astype(int)
    years = spans(rows.assign(last=end), rows["start_year"], end)
    return years[(years["year"] < years["last"]) | last_too]


def _any_campaign(tables: Tables) -> Values:
    return flag(count(tables, _campaign_years(tables, last_too=True), "navco"))


def _open_campaign(*, armed: bool) -> Callable[[Tables], Values]:
    def make(tables: Tables) -> Values:
        rows = _campaign_years(tables, last_too=False)
        return flag(count(tables, rows[rows["regime_change"].fillna(False) & (rows["armed"] == armed)], "navco"))

    return make


def _wave(tables: Tables) -> Values:
    """Return unarmed campaigns for a change of regime that began in the region in two years, per country of it."""
    grid, rows = tables["grid"], tables["navco"]
    rows = rows[rows["regime_change"].fillna(False) & (rows["armed"] == False)].dropna(subset=["state"])  # noqa: E712 - three values
    rows = rows.assign(
        country=[country_code(int(s), int(y)) for s, y in zip(rows["state"], rows["start_year"], strict=True)]
    )
    group = grid.drop_duplicates("country").set_index("country")["group"]
    begun = rows.groupby([rows["country"].map(group), rows["start_year"].astype(int)]).size()
    both = begun.add(begun.rename(lambda year: year + 1, level=1), fill_value=0)
    size = grid.groupby("group")["country"].nunique()
    key = pd.MultiIndex.from_frame(grid[["group", "year"]])
    return grid.assign(value=both.reindex(key).fillna(0).to_numpy() / grid["group"].map(size).to_numpy())


def _sanctions(tables: Tables) -> Values:
    rows = tables["gsdb"].dropna(subset=["state", "start_year"])
    end = rows["end_year"].fillna(tables["grid"]["year"].max())
    cases = count(tables, spans(rows, rows["start_year"], end), "gsdb")
    return cases.assign(value=np.log1p(cases["value"]))


# --- histories of events --------------------------------------------------------------------------------------------


def _history(tables: Tables, days: Callable[[Tables], pd.DataFrame], value: Callable[[Any, Any], Any]) -> Values:
    """Return a value of past events' ages and weights at each year's end and on the day of each event.

    `days` gives ``country``, ``day`` and ``weight``; `value` takes ages in years and weights, none in the future.
    """
    events = days(tables)
    moments = pd.concat(
        [tables["grid"][["country", "day"]], events.loc[events["day"].dt.year > FIRST, ["country", "day"]]]
    )
    own = {country: (rows["day"].to_numpy(), rows["weight"].to_numpy()) for country, rows in events.groupby("country")}
    none = (np.array([], dtype="datetime64[s]"), np.array([]))

    def at(country: str, day: Any) -> float:
        when, weight = own.get(country, none)
        past = when <= day
        return float(value((day - when[past]) / np.timedelta64(1, "D") / YEAR, weight[past]))

    moments = moments.drop_duplicates()
    return moments.assign(value=[at(c, d) for c, d in zip(moments["country"], moments["day"].to_numpy(), strict=True)])


def _attempts(tables: Tables) -> pd.DataFrame:
    rows = tables["events"]
    rows = rows[rows["kind"] == "coup_attempt"]
    return pd.DataFrame({"country": rows["country"], "day": rows["start"], "weight": (rows["result"] != "failed").astype(float)})  # fmt: skip


def _revolts(tables: Tables) -> pd.DataFrame:
    rows = tables["leaders"]
    rows = rows[(rows["exit"] == "revolution") & rows["end"].notna()]
    return pd.DataFrame({"country": rows["country"], "day": rows["end"], "weight": 1.0})


def _decayed(half: float) -> Callable[[Any, Any], Any]:
    return lambda age, _: np.sum(0.5 ** (age / half))


def _since(age: Any, _weight: Any) -> Any:
    return np.log(min(age.min(initial=NEVER), NEVER) + 0.25)


def _recent(age: Any, _weight: Any) -> Any:
    return np.exp(-age.min(initial=np.inf) / 2)


def _success_share(age: Any, success: Any) -> Any:
    weight = 0.5 ** (age / 20)
    return (1 + (weight * success).sum()) / (2 + weight.sum())


def _from(days: Callable[[Tables], pd.DataFrame], value: Callable[[Any, Any], Any]) -> Callable[[Tables], Values]:
    return lambda tables: _history(tables, days, value)


def _listed() -> Iterator[tuple[str, Covariate]]:
    """Return every indicator of the panel by name."""
    flags, zero = (0.0, 1.0), "zero"
    coups, reign, navco, ucdp = ("powell_thyne_2011", "archigos"), ("reign",), ("navco13",), ("ucdp_prio",)
    yield (
        "attempt_recency",
        Covariate(
            "Time since the last coup attempt",
            "log(years + 1/4), 60 years where there was none",
            (-1.4, 4.2),
            (),
            coups,
            _from(_attempts, _since),
        ),
    )
    yield (
        "attempt_last",
        Covariate(
            "Very recent coup attempt",
            "exp(-years since the last attempt / 2)",
            flags,
            (),
            coups,
            _from(_attempts, _recent),
            zero,
        ),
    )
    yield (
        "attempt_history",
        Covariate(
            "Coup attempts lately",
            "count that halves in 3 years",
            (0, 8),
            (),
            coups,
            _from(_attempts, _decayed(3)),
            zero,
        ),
    )
    yield (
        "success_share",
        Covariate(
            "Share of attempts that succeeded",
            "share, halving in 20 years, one success in two added",
            flags,
            (),
            coups,
            _from(_attempts, _success_share),
        ),
    )
    yield (
        "revolt_history",
        Covariate(
            "Removals by uprisings",
            "count that halves in 20 years",
            (0, 5),
            (),
            ("archigos",),
            _from(_revolts, _decayed(20)),
            zero,
        ),
    )
    yield (
        "revolt_recent",
        Covariate(
            "Removals by uprisings lately",
            "count that halves in 10 years",
            (0, 5),
            (),
            ("archigos",),
            _from(_revolts, _decayed(10)),
            zero,
        ),
    )
    yield "polyarchy", Covariate("Electoral democracy", "V-Dem's index", flags, ("vdem",), ("vdem",), _polyarchy)
    yield (
        "mixed_regime",
        Covariate(
            "Distance from the middle of democracy",
            "(index - 0.4) squared",
            (0, 0.36),
            ("vdem",),
            ("vdem",),
            lambda t: (v := _polyarchy(t)[["country", "year", "day", "value"]]).assign(
                value=(v["value"].astype(float) - 0.4) ** 2
            ),
        ),
    )
    yield (
        "polyarchy_change",
        Covariate(
            "Change of democracy over three years",
            "index points a year",
            (-0.25, 0.25),
            ("vdem",),
            ("vdem",),
            lambda t: change(_polyarchy(t), 3),
        ),
    )
    yield (
        "income",
        Covariate(
            "Income", "log GDP per head, last year's figure", (4, 12), ("wdi_gdp",), ("world_bank_wdi",), _income
        ),
    )
    yield (
        "growth",
        Covariate(
            "Growth",
            "log change of income, last year's figure",
            (-0.3, 0.3),
            ("gdp_pop",),
            ("fariss_2022",),
            lambda t: change(_long_income(t), 1),
        ),
    )
    yield (
        "growth_3",
        Covariate(
            "Growth over three years",
            "log change of income a year, last year's figure",
            (-0.2, 0.2),
            ("gdp_pop",),
            ("fariss_2022",),
            lambda t: change(_long_income(t), 3),
        ),
    )
    yield (
        "infant_mortality",
        Covariate(
            "Infant mortality",
            "log deaths per 1,000, last year's figure",
            (0.5, 5.7),
            ("infant_mortality",),
            ("world_bank_wdi",),
            lambda t: yearly(t["infant_mortality"], _log(t["infant_mortality"]["deaths"]), lag=1),
        ),
    )
    yield (
        "population",
        Covariate(
            "Population",
            "log of heads, last year's figure",
            (9, 22),
            ("gdp_pop",),
            ("fariss_2022",),
            lambda t: yearly(t["gdp_pop"], _log(t["gdp_pop"]["population"]), lag=1),
        ),
    )
    yield (
        "spending_per_soldier",
        Covariate(
            "Military spending per soldier",
            "log, last year's figure",
            (-4, 8),
            ("nmc",),
            ("singer_1987",),
            lambda t: yearly(
                t["nmc"],
                _log(t["nmc"]["spending"] / t["nmc"]["personnel"].where(t["nmc"]["personnel"] > 0)) + np.log(1000),
                lag=1,
            ),
        ),
    )
    yield (
        "excluded",
        Covariate(
            "Excluded ethnic groups",
            "share of the population",
            flags,
            ("epr",),
            ("vogt_2015",),
            lambda t: yearly(t["epr"], "excluded"),
        ),
    )
    yield (
        "party_rule",
        Covariate("Party rule", "1 under a dominant party", flags, ("reign",), reign, _government(PARTY)),
    )
    yield (
        "personal_rule",
        Covariate(
            "Personal rule",
            "1 under personal dictatorship, also in hybrids",
            flags,
            ("reign",),
            reign,
            _government(PERSONAL),
        ),
    )
    yield (
        "military_rule",
        Covariate(
            "Military rule", "1 under the military, also in hybrids", flags, ("reign",), reign, _government(MILITARY)
        ),
    )
    yield (
        "provisional_rule",
        Covariate(
            "Provisional civilian rule",
            "1 under a provisional civilian government",
            flags,
            ("reign",),
            reign,
            _government(("Provisional - Civilian",)),
        ),
    )
    yield "soldier", Covariate("Leader with a military career", "1 if so", flags, ("reign",), reign, _reign("military"))
    yield (
        "irregular_ahead",
        Covariate(
            "Irregular election ahead",
            "1 if one is expected within six months",
            flags,
            ("reign",),
            reign,
            _reign("irregular_ahead"),
        ),
    )
    yield (
        "leader_election",
        Covariate(
            "Recent choice of the leader",
            "1 within six months after a leader election",
            flags,
            ("reign",),
            reign,
            _reign("leader_election_recent"),
        ),
    )
    yield (
        "regime_age",
        Covariate("Age of the regime", "log(1 + years)", (0, 6), ("reign_regimes",), ("reign",), _regime_age),
    )
    yield (
        "state_age",
        Covariate("Age of the state", "log(1 + years)", (0, 5.5), ("gw_states",), ("gleditsch_ward_1999",), _state_age),
    )
    yield (
        "campaign",
        Covariate(
            "Campaign in the year",
            "1 if a mass campaign of any aim was under way",
            flags,
            ("navco",),
            navco,
            _any_campaign,
            zero,
        ),
    )
    yield (
        "armed_campaign",
        Covariate(
            "Armed campaign goes on",
            "1 if one for a change of regime goes on",
            flags,
            ("navco",),
            navco,
            _open_campaign(armed=True),
            zero,
        ),
    )
    yield (
        "unarmed_campaign",
        Covariate(
            "Unarmed campaign goes on",
            "1 if one for a change of regime goes on",
            flags,
            ("navco",),
            navco,
            _open_campaign(armed=False),
            zero,
        ),
    )
    yield (
        "campaign_wave",
        Covariate(
            "Unarmed campaigns in the region", "begun in two years, per country", (0, 1), ("navco",), navco, _wave, zero
        ),
    )
    yield (
        "conflict",
        Covariate(
            "Internal armed conflict",
            "0 none, 1 minor, 2 war",
            (0, 2),
            ("ucdp",),
            ucdp,
            _conflict(("government", "territory", "both")),
            zero,
        ),
    )
    yield (
        "government_conflict",
        Covariate(
            "Armed conflict over government",
            "0 none, 1 minor, 2 war",
            (0, 2),
            ("ucdp",),
            ucdp,
            _conflict(("government", "both")),
            zero,
        ),
    )
    yield (
        "inter_state_conflict",
        Covariate("Inter-state armed conflict", "1 if in one this year", flags, ("ucdp",), ucdp, _inter_state, zero),
    )
    yield "sanction_cases", Covariate("Sanctions in force", "log(1 + cases)", (0, 4), ("gsdb",), ("gsdb",), _sanctions, zero)  # fmt: skip


COVARIATES = dict(_listed())
