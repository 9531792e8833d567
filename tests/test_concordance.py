"""What agrees, what differs and what is only on one side, on hand-made tables; and the real study against the real data."""

import importlib.util
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from forecast import concordance
from forecast.cli import app
from forecast.concordance import (
    alike,
    compare,
    compare_burden,
    compare_campaigns,
    compare_conflicts,
    compare_coups,
    compare_polyarchy,
    compare_regimes,
    compare_sanctions,
    compare_spells,
    compare_wars,
    headlines,
    join_inherited,
    match,
    read_reasons,
    summarise,
    unexplained,
)
from forecast.data import Data, load_data
from forecast.errors import DataError, UsageError
from forecast.schema import read_codebook

REPOSITORY = Path(__file__).parent.parent
SOURCES = Path(os.environ.get("FORECAST_SOURCES", REPOSITORY.parent / "shared" / "sources"))
NUMBERS = ("state", "year", "start_year", "end_year", "armed", "inherited", "value", "low", "high", "deaths")
DATES = ("start", "end", "entered", "observed_on", "known_on", "day")


def table(columns, *rows):
    frame = pd.DataFrame([row.split("|") for row in rows], columns=columns.split(), dtype=object)
    for name in frame:
        if name in DATES:
            frame[name] = pd.to_datetime(frame[name].replace("", None)).astype("datetime64[s]")
        elif name in NUMBERS:
            frame[name] = frame[name].astype(float)
    return frame


@pytest.fixture
def study():
    """One state in two windows: 1950 to 1960, and 1990 to 2000."""

    def make(leaders=(), events=(), indicators=()):
        return Data(
            countries=table(
                "country start end gw_code frame",
                "XNL|1950-01-01|1960-01-01|900|census",
                "XNL|1990-01-01|2000-01-01|900|census",
            ),
            leaders=table("spell_id country leader start end exit", *leaders),
            events=table("event_id country kind armed start end result inherited name sources", *events),
            indicators=table("country indicator observed_on value low high coder", *indicators),
            codebook=read_codebook(REPOSITORY / "data" / "codebook.toml"),
            known_to=date(2024, 12, 31),
        )

    return make


def verdicts(findings):
    return [(found.theirs or found.ours, found.verdict) for found in findings]


LEADERS = ("A|XNL|Ann Able|1950-01-01|1955-06-01|coup", "B|XNL|Bob Baker|1955-06-01|1960-01-01|frame_end")
ARCHIGOS = "id state leader start end exit"


def test_spells_agree_within_a_month_and_cut_ends_do_not_count(study):
    theirs = table(ARCHIGOS, "1|900|Able|1941-01-01|1955-06-20|irregular", "2|900|Baker|1955-06-20|1970-01-01|regular")
    assert verdicts(compare_spells(study(LEADERS), theirs)) == [("1", "agree"), ("2", "agree"), ("1", "agree")]


def test_spells_differ_in_date_exit_or_person(study):
    theirs = table(ARCHIGOS, "1|900|Able|1941-01-01|1955-08-20|regular", "2|900|Zimmer|1955-08-20|1970-01-01|regular")
    assert verdicts(compare_spells(study(LEADERS), theirs)) == [("1", "differ"), ("2", "differ"), ("1", "differ")]


def test_a_spell_on_one_side_only_and_a_neighbours_sliver(study):
    theirs = table(
        ARCHIGOS,
        "0|900|Zed|1941-01-01|1950-01-20|regular",  # three weeks into the window: a date of the next spell
        "1|900|Able|1950-01-20|1958-06-01|coup",
        "9|900|Late|1991-01-01|1995-01-01|regular",
    )
    found = verdicts(compare_spells(study(LEADERS), theirs))
    assert found == [("1", "differ"), ("B", "only here"), ("9", "only there"), ("1", "agree")]


def test_a_sliver_is_compared_when_the_same_person_has_one_on_the_other_side(study):
    ours = ("A|XNL|Ann Able|1950-01-01|1950-01-02|foreign", "B|XNL|Bob Baker|1950-01-02|1960-01-01|frame_end")
    theirs = table(ARCHIGOS, "1|900|Able|1941-01-01|1950-01-01|foreign", "2|900|Baker|1950-01-01|1970-01-01|regular")
    assert verdicts(compare_spells(study(ours), theirs)) == [("1", "agree"), ("2", "agree"), ("1", "agree")]


def test_days_on_which_archigos_names_nobody_are_outside_the_overlap(study):
    """Here a gap belongs to the outgoing leader or to a caretaker, there to nobody: that is no difference of dates."""
    theirs = table(ARCHIGOS, "1|900|Able|1941-01-01|1955-01-01|coup", "2|900|Baker|1956-01-01|1970-01-01|regular")
    late = study(("A|XNL|Ann Able|1950-01-01|1955-12-20|coup", "B|XNL|Bob Baker|1955-12-20|1960-01-01|frame_end"))
    assert {verdict for _, verdict in verdicts(compare_spells(late, theirs))} == {"agree"}
    later = study(("A|XNL|Ann Able|1950-01-01|1956-12-20|coup", "B|XNL|Bob Baker|1956-12-20|1960-01-01|frame_end"))
    assert ("1", "differ") in verdicts(compare_spells(later, theirs))
    caretaker = study((
        "A|XNL|Ann Able|1950-01-01|1955-01-01|coup",
        "C|XNL|Cat Clark|1955-01-01|1956-01-01|regular",
        "B|XNL|Bob Baker|1956-01-01|1960-01-01|frame_end",
    ))  # fmt: skip
    assert ("C", "not covered") in verdicts(compare_spells(caretaker, theirs))


def test_what_is_not_covered_is_counted_apart(study):
    theirs = table(ARCHIGOS, "1|900|Able|1941-01-01|1955-06-01|coup")
    found = pd.DataFrame([vars(f) for f in compare_spells(study(LEADERS), theirs)]).assign(reason="")
    assert headlines(found)[0] == (
        "leader spells within 31 days of archigos: 1 of 1 (100.0%; target 97%); "
        "1 more lie where it names nobody, and 0 of its own are not here"
    )
    assert summarise(found).loc[("archigos", "spell"), "agreement"] == 1.0


def test_names_are_alike_up_to_accents_and_spelling():
    assert alike("Konstantin Päts", "Pats")
    assert alike("Empress Dowager Cixi", "Tz'u Hsi")
    assert not alike("Jabir al-Sabah", "Saddam Hussein")


COUP = "C{n}|XNL|{kind}|1|{start}|{end}|{result}|0|The move|x"


def coup(n, start, end, result, kind="coup_attempt"):
    return COUP.format(n=n, start=start, end=end, result=result, kind=kind)


def coups(*rows):
    return table("id state day successful", *rows).assign(
        successful=lambda frame: frame["successful"] == "yes", outsiders=False
    )


def test_coups_agree_within_a_week_and_in_success(study):
    data = study(
        events=[
            coup(1, "1951-03-01", "1951-03-02", "failed"),
            coup(2, "1952-03-01", "1952-03-02", "concession"),
            coup(3, "1953-03-01", "1953-03-02", "failed"),
        ]
    )
    theirs = coups("a|900|1951-03-09|no", "b|900|1952-03-01|yes", "c|900|1953-03-10|no", "d|900|1970-01-01|no")
    found = verdicts(compare_coups("powell_thyne", data, theirs))
    assert found == [("b", "differ"), ("a", "agree"), ("C3", "only here"), ("c", "only there")]


@pytest.mark.parametrize(("outsiders", "verdict"), [(False, "differ"), (True, "agree")])
def test_an_uprising_is_a_coup_of_outsiders_there(study, outsiders, verdict):
    data = study(events=[coup(1, "1951-01-05", "1951-03-02", "removed", "uprising")])
    theirs = coups("a|900|1951-03-01|yes").assign(outsiders=outsiders)
    assert verdicts(compare_coups("cline", data, theirs)) == [("a", verdict)]


UPRISING = "{n}|XNL|uprising|{armed}|{start}|{end}|{result}|{inherited}|{name}|{source}"


def uprising(n, start, end, name="Rising", source="x", armed=1, inherited=0, result="failed"):
    return UPRISING.format(
        n=n, start=start, end=end, name=name, source=source, armed=armed, inherited=inherited, result=result
    )


def campaigns(*rows):
    frame = table("id name state start_year end_year armed result", *rows)
    years = {"start_year": frame["start_year"].astype("Int64"), "end_year": frame["end_year"].astype("Int64")}
    return frame.assign(**years, armed=frame["armed"] == 1, regime_change=True)


def test_campaigns_match_by_name_citation_or_exact_years(study):
    data = study(
        events=[
            uprising("named", "1951-05-01", "1953-05-01", name="War of the Highlanders"),
            uprising("cited", "1955-01-01", "1956-01-01", source="navco13"),
            uprising("other", "1958-01-01", "1958-02-01", name="Strike"),
        ]
    )
    theirs = campaigns(
        "1|Highlanders|900|1950|1953|1|failed",
        "2|Sailors|900|1955|1959|1|failed",
        "3|Farmers|900|1993|1994|1|failed",
        "4|Later|900|2010|2010|1|failed",
    )
    found = verdicts(compare_campaigns(data, theirs))
    assert found == [("1", "agree"), ("2", "differ"), ("other", "only here"), ("3", "only there")]


def test_an_uprising_that_outlives_a_leader_is_joined():
    rows = table(
        "id country armed start end result inherited label sources",
        "a|XNL|1|1951-01-01|1952-01-01|failed|0|War|x",
        "b|XNL|1|1952-01-01|1953-01-01|removed|1|War|x",
        "c|XNL|1|1953-01-01|1954-01-01|failed|1|The beaten side|x",
    )
    joined = join_inherited(rows)
    assert joined["id"].tolist() == ["a", "c"]
    assert joined["end"].dt.year.tolist() == [1953, 1954]


def reading(indicator, day, value, low=None, high=None, coder="A"):
    return f"XNL|{indicator}|{day}|{value}|{low or value}|{high or value}|{coder}"


def test_sanctions_by_country_year_and_a_reading_carried_over_from_an_earlier_window(study):
    data = study(
        indicators=[reading("sanctions", "1951-01-01", 0.5), reading("sanctions", "1951-01-01", 0.0, coder="B")]
    )
    gsdb = table("id sender kinds state start_year end_year", "1|US|trade|900|1950|1991").assign(
        start_year=pd.array([1950], "Int64"), end_year=pd.array([1991], "Int64")
    )
    found = list(compare_sanctions(data, gsdb))
    assert [(f.ours, f.verdict) for f in found[:2]] == [("XNL-1950", "only there"), ("XNL-1951", "agree")]
    assert [f.verdict for f in found[10:]] == ["agree", "agree"]  # 1990 and 1991: 0.5 was never taken back


def test_polyarchy_and_regimes(study):
    data = study(
        indicators=[reading("polyarchy", "1950-01-01", 0.3, 0.2, 0.4), reading("polyarchy", "1952-01-01", 0.7)]
    )
    vdem = table("state year value", "900|1950|0.45", "900|1951|0.55").astype({"year": int})
    assert [f.verdict for f in compare_polyarchy(data, vdem)] == ["agree", "differ"]
    gwf = table("state year regime", "900|1950|democracy", "900|1952|autocracy", "900|1953|democracy").astype(
        {"year": int}
    )
    assert [f.verdict for f in compare_regimes(data, gwf)] == ["differ", "differ", "agree"]


WAR = (reading("war_burden", "1951-06-01", 0.4), reading("war_burden", "1952-06-01", 0.0))


def wars(*rows):
    return table("id war state start end deaths", *rows)


def test_wars_need_a_burden_in_each_year(study):
    theirs = wars(
        "1|1|900|1951-06-01|1952-06-01|1", "2|2|900|1952-06-01|1954-06-01|1", "3|3|900|1956-02-01|1956-03-01|1"
    )
    assert verdicts(compare_wars(study(indicators=WAR), theirs)) == [
        ("1", "agree"),
        ("2", "differ"),
        ("3", "only there"),
    ]


def test_a_burden_needs_an_armed_conflict(study):
    ucdp = pd.DataFrame(
        {"conflict": ["9"] * 2, "year": [1955, 1956], "state": 900, "inter_state": [True, True], "war": [True, True]}
    )
    assert verdicts(compare_conflicts(study(indicators=WAR), ucdp)) == [("9-900-1955", "only there")]
    internal = ucdp.assign(year=[1951, 1952], inter_state=[False, False])
    assert verdicts(compare_conflicts(study(indicators=WAR), internal)) == []


def test_a_state_at_war_outside_the_war_frame_is_named(study):
    data = study(indicators=WAR)
    theirs = wars("1|1|900|1951-06-01|1952-06-01|1", "2|2|2|1951-06-01|1952-06-01|1", "3|3|900|1952-01-01|1970-01-01|1")
    assert ("2", "only there") not in verdicts(compare_wars(data, theirs))
    frame = replace(data, countries=data.countries.assign(frame="inter_state_war"))
    missed = [(f.theirs, f.detail) for f in compare_wars(frame, theirs) if "not in the frame" in f.detail]
    assert missed == [
        ("2", "state 2 is at war there and not in the frame in 1951"),
        ("3", "state 900 is at war there and not in the frame in 1970"),
    ]


@pytest.mark.parametrize(("deaths", "expected"), [(20_000, ["differ"]), (50, ["differ"]), (1_000, [])])
def test_burden_follows_the_share_of_the_population_killed(study, deaths, expected):
    nmc = pd.DataFrame({"state": [900], "year": [1951], "population": [1_000_000.0]})
    found = compare_burden(study(indicators=WAR), wars(f"1|1|900|1951-06-01|1952-06-01|{deaths}"), nmc)
    assert [f.verdict for f in found] == expected


def test_match_takes_the_nearest_first_and_each_row_once():
    ours = pd.DataFrame({"window": 0, "x": [0, 10]})
    theirs = pd.DataFrame({"window": 0, "x": [9, 11, 40]})
    assert match(ours, theirs, lambda both: (both["x"] - both["x_theirs"]).abs(), 20) == [(1, 0), (0, 1)]


def test_reasons_are_looked_up_and_the_rest_is_listed(study, tmp_path):
    (tmp_path / "powell_thyne.txt").write_text(
        "ccode\tyear\tmonth\tday\tcoup\n900\t1951\t3\t9\t2\n900\t1955\t1\t1\t1\n"
    )
    data = study(events=[coup(1, "1951-03-01", "1951-03-05", "failed")])
    reasons = {("powell_thyne", "coup", "XNL", "900-1951-03-09"): "contested"}
    result = compare(data, tmp_path, reasons)
    assert result["reason"].tolist() == ["contested", ""]
    assert unexplained(result)["key"].tolist() == ["900-1955-01-01"]
    assert summarise(result).loc[("powell_thyne", "coup"), "explained"] == 1
    assert "coup attempts of powell_thyne: 2, here 1, absent with a reason 0" in headlines(result)


def test_a_folder_without_data_sets_is_refused(study, tmp_path):
    with pytest.raises(UsageError, match="none of the data sets"):
        compare(study(), tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        compare(study(), tmp_path / "absent")


def test_a_damaged_table_of_reasons_is_refused(tmp_path):
    path = tmp_path / "concordance.csv"
    assert read_reasons(path) == {}
    path.write_text("dataset,reason\n")
    with pytest.raises(DataError, match="not those of reasons"):
        read_reasons(path)


def test_the_command_counts_writes_and_fails_on_a_difference_without_a_reason(tiny_tables, tmp_path):
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "powell_thyne.txt").write_text("ccode\tyear\tmonth\tday\tcoup\n901\t2003\t3\t9\t2\n")
    out = tmp_path / "all.csv"
    arguments = ["check", "--study", str(tiny_tables.source), "--against", str(folder), "--out", str(out)]
    failed = CliRunner().invoke(app, arguments)
    assert failed.exit_code == 10
    assert "no reason: powell_thyne,coup,XNL,901-2003-03-09: only there" in failed.stderr
    keys = unexplained(pd.read_csv(out, keep_default_na=False))
    rows = keys.assign(reason="invented")[list(concordance.REASON_COLUMNS)]
    rows.to_csv(tiny_tables.data / "concordance.csv", index=False)
    explained = CliRunner().invoke(app, arguments)
    assert explained.exit_code == 0, explained.stderr
    assert "powell_thyne" in explained.stdout


def test_out_goes_with_against():
    assert CliRunner().invoke(app, ["check", "--out", "x.csv"]).exit_code == 2


@pytest.fixture(scope="module")
def real():
    """The committed study beside the real public data."""
    if not SOURCES.is_dir():
        pytest.skip(f"no public data in {SOURCES}; set FORECAST_SOURCES to the folder that holds them")
    return compare(load_data(REPOSITORY / "data"), SOURCES, read_reasons(REPOSITORY / "data" / "concordance.csv"))


def test_every_difference_of_the_committed_study_has_a_reason(real):
    rest = unexplained(real)
    assert rest.empty, rest[["dataset", "item", "country", "key", "verdict", "detail"]].to_string()


def test_every_reason_of_the_committed_study_is_used(real):
    keys = real["theirs"].where(real["theirs"] != "", real["ours"])
    used = set(zip(real["dataset"], real["item"], real["country"], keys, strict=True))
    stale = set(read_reasons(REPOSITORY / "data" / "concordance.csv")) - used
    assert not stale


def test_the_page_of_the_comparison_is_current(real):
    place = importlib.util.spec_from_file_location("page", REPOSITORY / "docs" / "concordance.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    page = module.page(real, load_data(REPOSITORY / "data"))
    assert (REPOSITORY / "docs" / "concordance.md").read_text(encoding="utf-8") == page, "run docs/concordance.py"
    told = page[page.index("Post-Soviet states") :]
    assert told.count("failed coup there; agree") == 3
    assert told.count("revolution there") == 8
