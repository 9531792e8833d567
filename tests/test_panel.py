"""The panel as a study: built from invented publishers' files, and from the real ones where they are."""

import os
import re
import shutil
import sys
import time
from types import ModuleType

import pandas as pd
import pytest
from typer.testing import CliRunner

from forecast import panel
from forecast.checks import check_study
from forecast.cli import app
from forecast.data import load_data
from forecast.errors import DataError, UsageError
from forecast.importers import REGISTRY
from forecast.study import REPOSITORY, Study

SOURCES = REPOSITORY.parent / "shared" / "sources"
if "FORECAST_SOURCES" in os.environ:
    SOURCES = type(SOURCES)(os.environ["FORECAST_SOURCES"])

ARCHIGOS = """obsid,gwcode,leader,startdate,enddate,exit,exitcode
COL-1,100,Alba,1948-03-01,1953-06-13,Irregular,"Removed by Military, without Foreign Support"
COL-2,100,Bruno,1953-06-13,1957-05-10,Irregular,"Popular Protest, without Foreign Support"
COL-3,100,Cruz,1957-05-20,2010-12-31,Still in Office,Still in Office
ECU-1,130,Diaz,1940-01-01,1947-08-23,Irregular,"Removed by Military, without Foreign Support"
ECU-2,130,Estrada,1947-08-23,1950-05-01,Regular,Regular
ECU-3,130,Flor,1950-09-01,2010-12-31,Still in Office,Still in Office
"""
COUPS = """country\tccode\tyear\tmonth\tday\tcoup\tversion
Colombia\t100\t1953\t6\t13\t2\tV2020.10.13
Colombia\t100\t2010\t11\t17\t1\tV2020.10.13
Grenada\t55\t1979\t3\t13\t2\tV2020.10.13
"""
CAMPAIGNS = """NAVCOID,CAMPAIGN,LOCATION,BYEAR,EYEAR,SUCCESS,LIMITED,FAILURE,ONGOING,VIOL,REGCHANGE
1,May days,Colombia,1957,1957,1,0,0,0,0,1
2,Highland war,Ecuador,1948,1953,0,0,1,0,1,1
3,Wage strike,Ecuador,1960,1960,0,0,1,0,0,0
"""
REGIONS = "gwcode,e_regionpol_6C\n100,2\n130,2\n"


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    for file, text in {
        "archigos_4.1.csv": ARCHIGOS,
        "powell_thyne_coups.txt": COUPS,
        "navco.csv": CAMPAIGNS,
        "vdem_region_6c.csv": REGIONS,
    }.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def study(sources, tmp_path):
    return panel.new_panel(tmp_path / "panel", sources)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_the_panel_is_a_sound_study_with_a_spec_and_the_data_sets_as_sources(study):
    assert check_study(study.data) == []
    assert {path.name for path in study.source.iterdir()} == {"data", "models", "reports"}
    assert (study.models / "panel.toml").is_file()
    data = load_data(study.data)
    assert str(data.known_to) == "2010-12-31"
    assert list(data.codebook.indicators)[:3] == ["tenure", "recent_challenge", "attempt_recency"]


def test_years_without_attempts_are_a_frame_of_their_own(study):
    data = load_data(study.data)
    assert set(data.countries["frame"]) == {"exits_only", "global_panel"}
    later = data.in_frames(["global_panel"])
    assert later.leaders["start"].min() == pd.Timestamp("1950-01-01")
    first = later.leaders.set_index("spell_id").loc["COL-1950-alba"]
    assert (first["entered"], first["exit"]) == (pd.Timestamp("1948-03-01"), "coup")
    assert (data.leaders["exit"] == "frame_end").sum() == 2


def test_an_empty_seat_of_months_is_no_part_of_the_frame(study):
    data = load_data(study.data)
    own = data.countries[(data.countries["country"] == "ECU") & (data.countries["frame"] == "global_panel")]
    assert own["start"].dt.strftime("%Y-%m-%d").tolist() == ["1950-01-01", "1950-09-01"]
    assert data.countries["group"].unique().tolist() == ["latin_america"]


def test_challenges_carry_the_day_they_were_known_and_their_source(study):
    events = load_data(study.data).events.set_index("event_id")
    rows = {name: (row["result"], str(row["known_on"].date()), row["sources"]) for name, row in events.iterrows()}
    assert rows == {
        "COL-1953-coup-06-13": ("removed", "1953-06-13", "powell_thyne_2011"),
        "COL-1957-may-days": ("removed", "1957-05-10", "navco13"),
        "COL-2010-coup-11-17": ("failed", "2010-11-17", "powell_thyne_2011"),
        "ECU-1947-coup-08-22": ("removed", "1947-08-23", "archigos"),
        "ECU-1948-highland-war": ("failed", "1948-12-31", "navco13"),
        "ECU-1950-highland-war": ("failed", "1950-01-01", "navco13"),
        "ECU-1950-highland-war-2": ("failed", "1950-09-01", "navco13"),
    }
    assert events.loc["ECU-1950-highland-war", "inherited"]


def test_the_same_files_under_other_names_and_to_other_years(sources, tmp_path):
    (sources / "archigos_4.1.csv").rename(sources / "1March_Archigos_4.1.txt")
    later = ARCHIGOS.replace("2010-12-31", "2015-12-31")
    (sources / "1March_Archigos_4.1.txt").write_text(
        later.replace(",", "\t").replace("Military\t", "Military,").replace("Protest\t", "Protest,"), encoding="utf-8"
    )
    (sources / "powell_thyne_coups.txt").rename(sources / "powell_thyne_coups_final.txt")
    more = COUPS + "Colombia\t100\t2013\t5\t5\t1\tV2020.10.13\n"
    (sources / "powell_thyne_coups_final.txt").write_text(more, encoding="utf-8")
    data = load_data(panel.new_panel(tmp_path / "later", sources).data)
    assert str(data.known_to) == "2013-12-31"  # every attempt is known to then, every leader to 2015
    assert (data.leaders["exit"] == "in_office").sum() == 2


def test_leaders_go_on_with_reign_where_it_is_there(sources, tmp_path):
    more = COUPS + "Colombia\t100\t2013\t5\t5\t1\tV2020.10.13\n"
    (sources / "powell_thyne_coups.txt").write_text(more, encoding="utf-8")
    header = "ccode,leadid,leader,sdate,smonth,syear,emonth,eyear,birthyear,militarycareer\n"
    (sources / "leaderlist.csv").write_text(
        f"{header}100,1,Cruz,20,5,1957,8.0,2012.0,1920,0\n100,2,Gil,7,8,2012,,,1960,0\n130,3,Flor,1,9,1950,12.0,2014.0,1920,0\n",
        encoding="utf-8",
    )
    data = load_data(panel.new_panel(tmp_path / "later", sources).data)
    assert str(data.known_to) == "2013-12-31"
    own = data.leaders.set_index("spell_id")
    assert own.loc["COL-1957-cruz", ["end", "exit"]].tolist() == [pd.Timestamp("2012-08-07"), "regular"]
    assert own.loc["COL-2012-gil", "sources"] == "reign"
    assert own.loc["ECU-1950-flor", "exit"] == "in_office"


def test_what_is_missing_is_named(sources, tmp_path):
    (sources / "navco.csv").unlink()
    with pytest.raises(UsageError, match="no file of navco .*Chenoweth"):
        panel.new_panel(tmp_path / "panel", sources)
    assert not (tmp_path / "panel").exists()


def test_a_wrong_file_leaves_nothing_behind(sources, tmp_path):
    (sources / "navco.csv").write_text(REGIONS, encoding="utf-8")
    with pytest.raises(UsageError, match="is not a navco file: it has no column .* looks like vdem_region"):
        panel.new_panel(tmp_path / "panel", sources)
    assert {path.name for path in tmp_path.iterdir()} == {"sources"}


def test_no_folder_is_overwritten(study, sources):
    before = contents(study.source)
    with pytest.raises(UsageError, match="is not an empty folder"):
        panel.new_panel(study.source, sources)
    assert contents(study.source) == before


# --- the covariates' place ----------------------------------------------------------------------------------------


@pytest.fixture
def covariates(monkeypatch):
    """A module of covariates that reads polyarchy out of nothing."""

    def build(tables, countries):
        build.seen = (set(tables), list(countries["country"].unique()))
        days = pd.to_datetime(["1945-01-01", "1952-01-01", "2010-06-01", "2012-01-01"])
        rows = pd.DataFrame({"country": "COL", "indicator": "openness", "observed_on": days, "value": build.values})
        known = rows["observed_on"] + pd.Timedelta(days=365)
        rows = rows.assign(low=rows["value"], high=rows["value"], known_on=known, sources="vdem")
        entry = {"label": "Openness", "unit": "0 to 1", "range": [0.0, 1.0], "role": "judgement", "absent": "missing"}
        return rows, {"openness": entry}

    build.values = [0.1, 0.2, 0.3, 0.4]
    module = ModuleType("forecast.covariates")
    module.build = build
    monkeypatch.setitem(sys.modules, "forecast.covariates", module)
    monkeypatch.setattr(panel, "find_spec", lambda name: name)
    return build


def test_covariates_fill_the_ledger_and_the_codebook(covariates, sources, tmp_path):
    data = load_data(panel.new_panel(tmp_path / "panel", sources).data)
    assert covariates.seen[0] >= {"archigos", "navco", "leaders", "events"}
    assert covariates.seen[1] == ["COL", "ECU"]
    assert data.codebook.indicators["openness"].label == "Openness"
    rows = data.indicators[["observed_on", "value", "known_on"]].astype(str).to_numpy().tolist()
    assert rows == [
        ["1948-03-01", "0.1", "1948-03-01"],  # carried to the first day of each window
        ["1950-01-01", "0.1", "1950-01-01"],
        ["1952-01-01", "0.2", "1952-12-31"],
    ]  # what was known after the last day is left out


def test_a_covariate_off_its_scale_stops_the_build(covariates, sources, tmp_path):
    covariates.values = [0.1, 1.2, 0.3, 0.4]
    with pytest.raises(DataError, match=r"indicators.csv, row 4, column value: '1.2': is outside 0 to 1"):
        panel.new_panel(tmp_path / "panel", sources)
    assert not (tmp_path / "panel").exists()


def test_what_was_known_only_inside_a_window_corrects_its_first_reading():
    day = pd.Timestamp
    countries = pd.DataFrame({"country": ["COL"], "start": [day("1950-01-01")], "end": [pd.NaT], "frame": ["f"]})
    readings = pd.DataFrame(
        {
            "country": "COL", "indicator": "x", "coder": "A", "value": [1, 2, 3],
            "observed_on": [day("1948-01-01"), day("1949-01-01"), day("1951-01-01")],
            "known_on": [day("1949-01-01"), day("1950-07-01"), day("1952-01-01")],
        }
    )  # fmt: skip
    kept = panel.carry_into_windows(readings, countries)
    assert kept[["value", "observed_on", "known_on"]].astype(str).to_numpy().tolist() == [
        ["1", "1950-01-01", "1950-01-01"],
        ["2", "1950-01-01", "1950-07-01"],
        ["3", "1951-01-01", "1952-01-01"],
    ]


# --- import --------------------------------------------------------------------------------------------------------


def test_importing_one_data_set_makes_every_table_anew(study, tmp_path):
    newer = tmp_path / "navco_new.csv"
    newer.write_text(CAMPAIGNS + "4,Bread march,Ecuador,1999,1999,0,0,1,0,0,1\n", encoding="utf-8")
    result = run("import", "navco", newer, "--study", study.source)
    assert result.exit_code == 0, result.stderr
    assert "ECU-1999-bread-march" in set(load_data(study.data).events["event_id"])
    assert str(newer) in (study.data / "imports.csv").read_text(encoding="utf-8")
    assert {path.name for path in study.source.iterdir()} - {".lock"} == {"data", "models", "reports"}


def test_a_failed_import_leaves_the_study_as_it_was(study, tmp_path):
    before = contents(study.source)
    for text in (REGIONS, CAMPAIGNS.replace("1957,1957", "1957,soon")):
        wrong = tmp_path / "wrong.csv"
        wrong.write_text(text, encoding="utf-8")
        assert run("import", "navco", wrong, "--study", study.source).exit_code in {2, 10}
        assert contents(study.source) == before


def test_a_file_that_has_changed_since_is_reported(study, sources):
    (sources / "vdem_region_6c.csv").write_text(REGIONS.replace("130,2", "130,3"), encoding="utf-8")
    result = run("import", "navco", sources / "navco.csv", "--study", study.source)
    assert result.exit_code == 2
    assert "has changed since it was imported; import it again: forecast import vdem_region FILE" in result.stderr
    assert run("import", "--all", sources, "--study", study.source).exit_code == 0
    assert set(load_data(study.data).countries["group"]) == {"latin_america", "middle_east_north_africa"}


def assert_refused(study, sources, words):
    """An import says why it does not go ahead, and leaves every file as it was."""
    before = contents(study.source)
    result = run("import", "--all", sources, "--study", study.source)
    assert result.exit_code == 2
    assert words in result.stderr
    assert contents(study.source) == before


def test_rows_added_by_hand_are_not_lost(study, sources):
    with (study.data / "events.csv").open("a", encoding="utf-8") as table:
        table.write("ECU-1990-x,ECU,uprising,0,1990-01-01,1990-02-01,failed,0,X,1990-01-01,navco13,\n")
    (study.data / "concordance.csv").write_text("dataset,item,country,key,reason\n", encoding="utf-8")
    assert check_study(study.data) == []
    assert_refused(study, sources, "events.csv was changed by hand since it was made")


def test_other_files_of_the_study_stay(study, sources):
    (study.data / "concordance.csv").write_text("dataset,item,country,key,reason\n", encoding="utf-8")
    assert run("import", "--all", sources, "--study", study.source).exit_code == 0
    assert (study.data / "concordance.csv").is_file()


def test_a_study_coded_by_hand_is_not_overwritten(tiny_tables, sources):
    assert_refused(tiny_tables, sources, "coded by hand")


def test_an_empty_study_is_filled(sources, tmp_path):
    assert run("init", tmp_path / "new").exit_code == 0
    assert run("import", "--all", sources, "--study", tmp_path / "new").exit_code == 0
    assert check_study(tmp_path / "new" / "data") == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["navco"],
        ["navco", "x.csv", "--all", "dir"],
        ["navco", "x.csv", "--fetch"],
        ["nothing", "x.csv"],
        ["--all", "nowhere"],
    ],
)
def test_what_is_asked_must_make_sense(arguments, study):
    assert run("import", *arguments, "--study", study.source).exit_code == 2


def test_init_needs_panel_and_sources_together(tmp_path, sources):
    assert run("init", tmp_path / "x", "--panel").exit_code == 2
    assert run("init", tmp_path / "x", "--sources", sources).exit_code == 2
    made = run("init", "--panel", tmp_path / "x", "--sources", sources)
    assert made.exit_code == 0, made.stderr
    assert made.stdout == ""
    assert "1 coup attempts are left out" in made.stderr


# --- the real files ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The panel of the real public files, under names without a year in them."""
    if not SOURCES.is_dir():
        pytest.skip(f"no public data in {SOURCES}; set FORECAST_SOURCES to the folder that holds them")
    folder = tmp_path_factory.mktemp("real")
    renamed = folder / "sources"
    renamed.mkdir()
    for name, source in REGISTRY.items():
        path = source.find(SOURCES)
        assert path is not None or name not in panel.REQUIRED, f"{name} is not in {SOURCES}"
        if path is not None:
            shutil.copyfile(path, renamed / re.sub(r"_to\d{4}", "", path.name))
    begun = time.perf_counter()
    study = panel.new_panel(folder / "panel", renamed)
    assert time.perf_counter() - begun < 90
    return study


def test_the_real_panel_is_complete(real: Study):
    data = load_data(real.data).as_of("2010-12-31")  # the files may run on
    spans = data.in_frames(["global_panel"]).leaders
    ends = spans["end"].fillna(pd.Timestamp(data.known_to))
    assert 8_000 < (ends - spans["start"]).dt.days.sum() / 365.25 < 9_500
    assert (data.leaders["exit"] == "in_office").sum() == 170


def test_the_real_panel_has_powell_and_thynes_country_years(real: Study):
    events = load_data(real.data).events
    coups = events[(events["kind"] == "coup_attempt") & events["start"].between("2001-01-01", "2010-12-31")]
    by_year = coups.groupby([coups["country"], coups["start"].dt.year])["result"]
    assert len(by_year) == 22
    assert by_year.agg(lambda results: (results == "failed").any()).sum() == 11
    assert by_year.agg(lambda results: (results != "failed").any()).sum() == 11


def test_what_came_later_does_not_change_the_panels_past(real: Study, tmp_path):
    """The panel of files that end in 2000 is the panel of those that end in 2010, as of 2000."""
    cut = tmp_path / "cut"
    cut.mkdir()
    files = {name: REGISTRY[name].find(SOURCES) for name in panel.REQUIRED}
    tables = {
        name: pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)
        for name, path in files.items()
    }
    leaders = tables["archigos"].query("startdate <= '2000-12-31'")
    late = leaders["enddate"] > "2000-12-31"
    tables["archigos"] = leaders.assign(
        enddate=leaders["enddate"].mask(late, "2000-12-31"), exit=leaders["exit"].mask(late, "Still in Office")
    )
    tables["powell_thyne"] = tables["powell_thyne"].query("year <= '2000'")
    tables["navco"] = tables["navco"].query("BYEAR <= '2000'")
    for name, table in tables.items():
        table.to_csv(cut / f"{name}.csv", index=False)
    then = load_data(panel.new_panel(tmp_path / "then", cut).data)
    assert str(then.known_to) == "2000-12-31"
    now = load_data(real.data).as_of("2000-12-31")
    columns = ["country", "start", "end", "exit"]
    here, there = (view.leaders.loc[view.leaders["country"] != "CHE", columns] for view in (then, now))
    pd.testing.assert_frame_equal(
        here, there
    )  # the Swiss president left on the last day, his successor came a day later
    columns = ["country", "kind", "start", "end", "result"]
    pd.testing.assert_frame_equal(then.events[columns], now.events[columns])
