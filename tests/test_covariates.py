"""The panel's indicators: by hand on invented tables, and blind to what could not be known."""

import math
import os
import tomllib

import numpy as np
import pandas as pd
import pytest

from forecast import panel
from forecast.covariates import LISTED, MAKERS, build
from forecast.data import load_data, table_frame
from forecast.design import measure
from forecast.schema import TABLES
from forecast.study import REPOSITORY

SOURCES = REPOSITORY.parent / "shared" / "sources"
if "FORECAST_SOURCES" in os.environ:
    SOURCES = type(SOURCES)(os.environ["FORECAST_SOURCES"])

COL, ECU, PER = 100, 130, 135


def day(text):
    return pd.Timestamp(text)


def frame(columns, *rows):
    return pd.DataFrame(list(rows), columns=columns.split())


def invent():
    """Return tables of three neighbours, as the importers give them."""
    years = range(1985, 2002)
    each = [(state, year) for state in (COL, ECU, PER) for year in years]
    return {
        "events": frame(
            "country kind start result",
            ("COL", "coup_attempt", day("1990-07-01"), "removed"),
            ("COL", "coup_attempt", day("1994-07-01"), "failed"),
            ("PER", "coup_attempt", day("1995-02-01"), "failed"),
            ("ECU", "coup_attempt", day("2001-03-01"), "removed"),
        ),
        "leaders": frame(
            "country exit end",
            ("ECU", "revolution", day("1992-12-31")),
            ("ECU", "regular", day("1999-01-01")),
            ("PER", "revolution", day("2001-06-01")),
        ),
        "vdem": frame("state year value low high", *((s, y, (y - 1980) / 100, 0.0, 0.5) for s, y in each)),
        "wdi_gdp": frame("state year income", *((s, y, 1000.0 + y) for s, y in each)),
        "gdp_pop": frame("state year income population", *((s, y, 1000.0 * 1.02 ** (y - 1985), 5e6 * 1.01 ** (y - 1985)) for s, y in each)),
        "infant_mortality": frame("state year deaths", *((s, y, 2100.0 - y) for s, y in each)),
        "nmc": frame(
            "state year spending personnel cinc",
            *((s, y, 4e5, 100_000.0, {COL: 0.03, ECU: 0.01, PER: 0.02}[s]) for s, y in each),
        ),
        "epr": frame("state year excluded", *((s, y, 0.1 + (y > 1993) / 10) for s, y in each)),
        "reign": frame(
            "state year government military irregular_ahead leader_election_recent",
            *((s, y, "Military-Personal" if y > 1994 else "Dominant Party", y > 1994, False, y == 1998) for s, y in each),
        ),
        "reign_regimes": frame(
            "state start end",
            *((s, day("1960-01-01"), day("1994-06-30")) for s in (COL, ECU, PER)),
            *((s, day("1994-07-01"), day("2001-12-31")) for s in (COL, ECU, PER)),
        ),
        "gw_states": frame("state start end", *((s, day("1830-01-01"), day("2017-12-31")) for s in (COL, ECU, PER))),
        "navco": frame(
            "state start_year end_year armed regime_change",
            (COL, 1990, 1996, True, True),
            (ECU, 1994, 1994, False, True),
            (PER, 1993, 2001, False, False),
            (PER, 1995, 1995, True, False),
            (PER, 2000, 2001, False, True),
        ).astype({"armed": "boolean", "regime_change": "boolean"}),
        "ucdp": frame(
            "conflict year state side inter_state over intensity",
            ("0", 1990, PER, "a", False, "government", 1),
            ("1", 1994, COL, "a", False, "government", 2),
            ("1", 1995, COL, "a", False, "government", 1),
            ("2", 1995, ECU, "a", True, "territory", 1),
            ("2", 1995, PER, "b", True, "territory", 1),
            ("3", 2001, COL, "a", False, "territory", 1),
        ),
        "gsdb": frame(
            "state start_year end_year kinds",
            (PER, 1990, 1990, "trade"),
            (COL, 1993, 1996, "arms+travel"),
            (COL, 1995, 1995, "financial"),
            (ECU, 2000, 2001, "trade"),
        ),
    }  # fmt: skip


def states():
    return frame(
        "country start end gw_code group",
        ("COL", day("1950-01-01"), pd.NaT, "100", "latin_america"),
        ("ECU", day("1950-01-01"), pd.NaT, "130", "latin_america"),
        ("PER", day("1950-01-01"), pd.NaT, "135", "latin_america"),
    )


def seen_on(readings, when):
    """Return the readings that a contemporary has: rows by country and indicator, in the order of their days."""
    known = readings[(readings[["observed_on", "known_on"]] <= day(when)).all(axis=1)]
    columns = ["country", "indicator", "observed_on", "value", "low", "high"]
    return known.sort_values(columns[:3], ignore_index=True)[columns]


def value(readings, country, indicator, when):
    known = seen_on(readings, when)
    own = known[(known["country"] == country) & (known["indicator"] == indicator)]
    return own["value"].iloc[-1] if len(own) else None


@pytest.fixture(scope="module")
def built():
    return build(invent(), states())


def test_every_indicator_is_described_once_and_made(built):
    listed = tomllib.loads(LISTED.read_text(encoding="utf-8"))
    assert list(listed) == list(MAKERS) == list(built[1])
    assert set(built[0]["indicator"]) == set(MAKERS)
    assert all(entry["role"] == "measured" for entry in built[1].values())


def test_sources_that_are_not_there_leave_their_indicators_out():
    tables = {name: table for name, table in invent().items() if name != "vdem"}
    entries = build(tables, states())[1]
    assert not {"polyarchy", "mixed_regime", "polyarchy_change"} & set(entries)
    assert "income" in entries


def test_every_reading_is_known_on_its_day_and_differs_from_the_one_before(built):
    readings = built[0]
    assert (readings["known_on"] == readings["observed_on"]).all()
    for _, own in readings.sort_values("observed_on").groupby(["country", "indicator"]):
        assert (own[["value", "low", "high"]].diff().iloc[1:].abs().sum(axis=1) > 0).all()


@pytest.mark.parametrize(
    ("country", "indicator", "when", "expected"),
    [
        ("COL", "attempt_recency", "1990-12-31", math.log(183 / 365.25 + 0.25)),
        ("COL", "attempt_recency", "1994-06-30", math.log((365 * 3 + 366 - 182) / 365.25 + 0.25)),  # of New Year's Eve
        ("COL", "attempt_recency", "1994-07-01", math.log(0.25)),  # brought up to date on the day
        ("ECU", "attempt_recency", "2000-12-31", math.log(60.25)),
        ("COL", "attempt_history", "1994-07-01", 1 + 0.5 ** (1461 / 365.25 / 3)),
        ("COL", "success_share", "1994-07-01", (1 + 0.5**0.2) / (3 + 0.5**0.2)),
        ("ECU", "revolt_recent", "1992-12-31", 1.0),
        ("ECU", "revolt_recent", "1992-12-30", 0.0),
        ("COL", "polyarchy", "1995-12-31", 0.15),
        ("COL", "polyarchy", "1995-12-30", 0.14),
        ("COL", "mixed_regime", "1995-12-31", 0.25**2),
        ("COL", "polyarchy_change", "1995-12-31", 0.01),
        ("COL", "income", "1995-12-31", math.log(2994.0)),  # the figure of the year before
        ("COL", "growth_3", "1995-12-31", math.log(1.02)),
        ("COL", "spending_per_soldier", "1995-12-31", math.log(4000.0)),  # dollars; the file has thousands
        ("COL", "party_rule", "1994-12-31", 1.0),
        ("COL", "party_rule", "1995-12-31", 0.0),
        ("COL", "military_rule", "1995-12-31", 1.0),
        ("COL", "regime_age", "1995-12-31", math.log1p(548 / 365.25)),
        ("COL", "armed_campaign", "1995-12-31", 1.0),
        ("COL", "armed_campaign", "1996-12-31", 0.0),  # over by then
        ("COL", "campaign", "1996-12-31", 1.0),
        ("PER", "unarmed_campaign", "1995-12-31", 0.0),  # goes on, but not for a change of regime
        ("PER", "campaign_wave", "1995-12-31", 1 / 3),
        ("PER", "campaign_wave", "1996-12-31", 0.0),
        ("COL", "conflict", "1994-12-31", 2.0),
        ("COL", "conflict", "1996-12-31", 0.0),
        ("ECU", "war_balance", "1995-12-31", -1 / 3),
        ("PER", "war_balance", "1995-12-31", 1 / 3),
        ("COL", "war_balance", "1995-12-31", 0.0),
        ("COL", "sanctions", "1994-12-31", 1 - 0.9 * 0.9),
        ("COL", "sanctions", "1995-12-31", 1 - 0.9 * 0.9 * (1 - 0.4 * math.sqrt(0.375))),
        ("COL", "sanction_cases", "1995-12-31", math.log(3)),
        ("COL", "sanctions", "1997-12-31", 0.0),
    ],
)  # fmt: skip
def test_values_by_hand(built, country, indicator, when, expected):
    assert value(built[0], country, indicator, when) == pytest.approx(expected, abs=6e-5)


def test_nothing_is_said_of_years_that_a_source_does_not_cover():
    tables = invent()
    tables["ucdp"] = tables["ucdp"][tables["ucdp"]["year"] <= 1995]
    readings = build(tables, states())[0]
    own = readings[(readings["indicator"] == "conflict") & (readings["country"] == "COL")]
    assert own["observed_on"].max() == day("1995-12-31")
    assert own["value"].iloc[-1] == 1.0  # the last word, and no peace that nobody saw


# --- what is known later changes nothing -----------------------------------------------------------------------------

STATISTICS = {"wdi_gdp", "gdp_pop", "infant_mortality", "nmc"}
ORIGIN = 1995


def forget(tables, origin=ORIGIN):
    """Return the tables as they could stand at a year's end: nothing that is known later, and open what is not over."""
    last, kept = day(f"{origin}-12-31"), {}
    for name, table in tables.items():
        rows = table.copy()
        if "year" in rows:
            rows = rows[rows["year"] <= origin - (name in STATISTICS)]
        for begin in {"start_year"} & set(rows):
            rows = rows[rows[begin] <= origin]
            rows["end_year"] = rows["end_year"].astype("Float64").mask(rows["end_year"] > origin)
        if "start" in rows:
            rows = rows[rows["start"] <= last]
        if "end" in rows:
            over = rows["end"] > last
            rows["end"] = rows["end"].mask(over, pd.NaT if name == "leaders" else last)
            if "exit" in rows:
                rows["exit"] = rows["exit"].mask(over, "in_office")
        kept[name] = rows
    return kept


def spoil(tables, origin=ORIGIN):
    """Return the tables with everything that is known later turned into something else."""
    rng, spoilt = np.random.default_rng(0), {}
    last = day(f"{origin}-12-31")
    for name, table in tables.items():
        rows = table.copy()
        if "year" in rows:
            later = rows["year"] > origin - (name in STATISTICS)
        elif "start_year" in rows:
            later = rows["start_year"] > origin
            rows["end_year"] = rows["end_year"].mask(rows["end_year"] > origin, origin + 5)
        else:
            later = rows["start" if "start" in rows else "end"] > last
        for column in set(rows) - {"state", "year", "start_year", "end_year", "country", "start", "end", "conflict"}:
            held = rows.loc[later, column].to_numpy(copy=True)
            new = held * 0.5 if pd.api.types.is_float_dtype(rows[column]) else rng.permutation(held[::-1])
            rows.loc[later, column] = new
        spoilt[name] = rows
    return spoilt


@pytest.mark.parametrize("known", [forget, spoil])
def test_what_is_known_later_changes_no_reading(built, known):
    changed = build(known(invent()), states())[0]
    when = f"{ORIGIN}-12-31"
    pd.testing.assert_frame_equal(seen_on(changed, when), seen_on(built[0], when))
    later = seen_on(changed, "2001-12-31")
    assert len(later) != len(seen_on(built[0], "2001-12-31")) or not later.equals(seen_on(built[0], "2001-12-31"))


def test_a_state_that_comes_later_changes_no_earlier_reading(built):
    later = frame("country start end gw_code group", ("BOL", day("1998-01-01"), pd.NaT, "145", "latin_america"))
    grown = build(invent(), pd.concat([states(), later], ignore_index=True))[0]
    grown = grown[grown["country"] != "BOL"]
    pd.testing.assert_frame_equal(seen_on(grown, "1997-12-31"), seen_on(built[0], "1997-12-31"))
    wave = ("COL", "campaign_wave", "2000-12-31")  # one campaign, of three states and then of four
    assert value(grown, *wave) == pytest.approx(3 / 4 * value(built[0], *wave), abs=1e-4)  # readings have four digits


@pytest.mark.parametrize("name", sorted(invent()))
def test_what_is_known_at_the_origin_does_change_readings(built, name):
    tables = invent()
    tables[name] = forget({name: tables[name]}, origin=1991)[name]
    if name == "events":
        tables[name] = pd.concat([tables[name], invent()[name].tail(1)])  # the events say how far the years go
    when = f"{ORIGIN}-12-31"
    assert not seen_on(build(tables, states())[0], when).equals(seen_on(built[0], when))


@pytest.mark.skipif(not (SOURCES / "README.md").is_file(), reason="the public files are not here")
def test_on_the_public_files_what_is_known_later_changes_no_reading():
    later = {860}  # independent after the day, in a region with campaigns before it
    numbers = {90, 145, 160, 345, 452, 490, 516, 640, 645, 651, 680, 678, 700, 775, 800} | later
    tables = panel.read_sources(panel.find_sources(SOURCES))
    world = panel.settle(tables)
    regions = dict(zip(tables["vdem_region"]["state"].astype(int), tables["vdem_region"]["region"], strict=True))
    rows = {
        "countries.csv": panel.country_rows(world.spells, regions),
        "leaders.csv": panel.leader_rows(world.spells),
        "events.csv": panel.event_rows(world.challenges),
    }
    frames = {file.removesuffix(".csv"): table_frame(TABLES[file], listed) for file, listed in rows.items()}
    few = {
        n: t[t["state"].isin(numbers)].reset_index(drop=True) if {"state", "year"} <= set(t) else t
        for n, t in tables.items()
    }
    countries = frames["countries"][frames["countries"]["gw_code"].astype(int).isin(numbers)]
    own = {n: frames[n][frames[n]["country"].isin(countries["country"])] for n in ("leaders", "events")}
    assert set(countries["gw_code"].astype(int)) >= later
    every = build({**few, **own}, countries)[0]
    there = countries[countries["start"] <= day("1994-12-31")]
    then = build(forget({**few, **own}, 1994), there.assign(end=there["end"].mask(there["end"] > day("1994-12-31"))))[0]
    there_then, there_now = (r[r["country"].isin(there["country"])] for r in (then, every))
    pd.testing.assert_frame_equal(seen_on(there_then, "1994-12-31"), seen_on(there_now, "1994-12-31"))
    assert set(then["indicator"]) == set(MAKERS)


# --- from files to features ------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """A panel built from invented files with V-Dem's index in them."""
    folder = tmp_path / "sources"
    folder.mkdir()
    files = {
        "archigos.csv": "obsid,gwcode,leader,startdate,enddate,exit,exitcode\n"
        "COL-1,100,Alba,1948-03-01,1999-12-31,Still in Office,Still in Office\n",
        "powell_thyne.txt": "country\tccode\tyear\tmonth\tday\tcoup\tversion\n"
        "Colombia\t100\t1953\t6\t13\t1\tV\nColombia\t100\t1999\t11\t17\t1\tV\n",
        "navco.csv": "NAVCOID,CAMPAIGN,LOCATION,BYEAR,EYEAR,SUCCESS,LIMITED,FAILURE,ONGOING,VIOL,REGCHANGE\n"
        "1,May days,Colombia,1957,1957,0,0,1,0,0,1\n",
        "vdem_region.csv": "gwcode,e_regionpol_6C\n100,2\n",
        "vdem.csv": "vdem_cowcode,year,v2x_polyarchy,v2x_polyarchy_codelow,v2x_polyarchy_codehigh,v2x_polyarchy_sd,"
        "v2x_libdem,v2x_libdem_codelow,v2x_libdem_codehigh,v2x_libdem_sd\n"
        + "".join(f"100,{year},{(year - 1940) / 100},0.0,0.9,0.1,,,,\n" for year in range(1949, 1999)),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return panel.new_panel(tmp_path / "study", folder)


def feature(study, when):
    data = load_data(study.data).as_of(when)
    moment = pd.DataFrame({"country": ["COL"], "known": [day(when)]})
    return float(measure(data, "polyarchy", moment)[0][0])


def test_a_reading_that_is_known_only_later_is_not_seen_from_the_origin(study):
    assert feature(study, "1990-12-31") == pytest.approx(0.50)
    ledger = study.data / "indicators.csv"
    readings = pd.read_csv(ledger, dtype=str, keep_default_na=False)
    moved = (readings["indicator"] == "polyarchy") & (readings["observed_on"] == "1990-12-31")
    assert moved.sum() == 1
    readings.loc[moved, "known_on"] = "1991-02-01"
    readings.to_csv(ledger, index=False, lineterminator="\n")
    assert feature(study, "1990-12-31") == pytest.approx(0.49)
    assert feature(study, "1991-02-01") == pytest.approx(0.50)
