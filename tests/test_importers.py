"""Each importer reads the publisher's own columns and the other copies in use, and refuses the rest by name."""

import pandas as pd
import pytest

from forecast.errors import DataError, UsageError
from forecast.importers import REGISTRY
from forecast.importers.names import STATE_NUMBERS, state_numbers


def read(name, folder, text, file="file.csv"):
    path = folder / file
    path.write_text(text, encoding="utf-8")
    return REGISTRY[name].read(path)


def test_archigos_has_ccode_at_the_publisher_and_gwcode_elsewhere(tmp_path):
    official = read(
        "archigos",
        tmp_path,
        "obsid\tleadid\tccode\tidacr\tleader\tstartdate\tenddate\tentry\texit\texitcode\n"
        "UKR-1994\tx\t369\tUKR\tKuchma\t1994-07-19\t2005-01-23\tRegular\tRegular\tRegular\n",
    )
    other = read(
        "archigos",
        tmp_path,
        "obsid,gwcode,leader,startdate,enddate,exit,exitcode\n"
        "UKR-1994,369,Kuchma,1994-07-19,2005-01-23,Regular,Regular\n",
    )
    pd.testing.assert_frame_equal(official, other)
    assert other.loc[0].to_dict() == {
        "id": "UKR-1994",
        "state": 369,
        "leader": "Kuchma",
        "start": pd.Timestamp("1994-07-19"),
        "end": pd.Timestamp("2005-01-23"),
        "exit": "regular",
        "armed": False,
    }


@pytest.mark.parametrize(
    ("exit_", "exitcode", "ours"),
    [
        ("Irregular", "Removed by Military, without Foreign Support", "coup"),
        ("Irregular", '""Removed by Military', "coup"),  # a stray quotation mark before the code
        ("Irregular", "Popular Protest, with Foreign Support", "revolution"),
        ("Irregular", "Assassination by Unsupported Individual", "assassination"),
        ("Irregular", "Unknown", "irregular"),
        ("Suicide", "Regular", "natural_death"),
        ("Still in Office", "Still in Office", "in_office"),
    ],
)
def test_archigos_manners_of_exit(tmp_path, exit_, exitcode, ours):
    header = "obsid\tccode\tleader\tstartdate\tenddate\texit\texitcode\n"
    table = read("archigos", tmp_path, f"{header}A-1\t1\tA\t1950-01-01\t1951-01-01\t{exit_}\t{exitcode}\n", "a.txt")
    assert table["exit"].tolist() == [ours]


def test_archigos_unknown_exit_and_open_end_are_missing(tmp_path):
    header = "obsid,ccode,leader,startdate,enddate,exit,exitcode\n"
    table = read("archigos", tmp_path, f"{header}A-1,1,A,1950-01-01,,Unknown,Unknown\n")
    assert pd.isna(table.at[0, "exit"])
    assert pd.isna(table.at[0, "end"])


def test_powell_thyne(tmp_path):
    text = "country\tccode\tyear\tmonth\tday\tcoup\tversion\nCuba\t40\t1952\t3\t10\t2\tv\nCuba\t40\t1957\t9\t5\t1\tv\n"
    table = read("powell_thyne", tmp_path, text, "coups.txt")
    assert table["id"].tolist() == ["40-1952-03-10", "40-1957-09-05"]
    assert table["successful"].tolist() == [True, False]


CLINE = "coup_id,cowcode,country,year,month,day,{realized},attempt,military,palace,auto,rebel,popular,foreign\n"


def test_cline_tells_outsiders_and_mere_conspiracies(tmp_path):
    rows = (
        "1,500,Uganda,1979,4,11,1,0,0,0,0,1,0,0\n"
        "2,483,Chad,2006,4,13,0,1,1,0,0,1,0,0\n"
        "3,372,Georgia,1999,5,22,0,0,1,0,0,0,0,0\n"
        "4,393,Russia,1993,9,0,0,1,0,0,0,0,0,0\n"
    )
    table = read("cline", tmp_path, CLINE.format(realized="realized") + rows)
    assert table["attempted"].tolist() == [True, True, False, True]
    assert table["outsiders"].tolist() == [True, False, False, False]
    assert table.at[3, "state"] == 365  # a slip of the publisher
    assert pd.isna(table.at[3, "day"])  # day 0: unknown
    renamed = read("cline", tmp_path, CLINE.format(realized="event_realized") + rows)
    pd.testing.assert_frame_equal(table, renamed)


def test_navco_has_places_and_years(tmp_path):
    text = (
        "NAVCOID,CAMPAIGN,LOCATION,BYEAR,EYEAR,SUCCESS,LIMITED,FAILURE,ONGOING,VIOL,REGCHANGE\n"
        "23,anti-Milosevic,Serbia,1996,2000,1,0,0,0,0,1\n"
        "228,Tibetan resistance,Tibet,1956,1959,0,0,1,0,1,0\n"
    )
    table = read("navco", tmp_path, text)
    assert table["id"].tolist() == ["23-1996", "228-1956"]
    assert table["result"].tolist() == ["removed", "failed"]
    assert table["state"].isna().tolist() == [False, True]
    assert table["regime_change"].tolist() == [True, False]


def test_cow_wars_of_the_publisher_have_days(tmp_path):
    parts = [f"{end}{part}{n}" for n in (1, 2) for end in ("Start", "End") for part in ("Month", "Day", "Year")]
    text = f"WarNum,ccode,{','.join(parts)},Outcome,BatDeath\n139,220,9,3,1939,6,22,1940,10,23,1944,5,7,1945,1,-9\n"
    table = read("cow_wars", tmp_path, text)
    assert table["id"].tolist() == ["139-220"]
    assert table.at[0, "start"] == pd.Timestamp("1939-09-03")
    assert table.at[0, "end"] == pd.Timestamp("1945-05-07")
    assert pd.isna(table.at[0, "deaths"])


def test_cow_wars_of_a_dyad_year_copy_have_years(tmp_path):
    text = "warnum,ccode1,ccode2,year,outcome1,batdeath1\n106,365,255,1914,1,1700000\n106,365,255,1917,1,1700000\n"
    table = read("cow_wars", tmp_path, text)
    assert (table.at[0, "start"], table.at[0, "end"]) == (pd.Timestamp("1914-01-01"), pd.Timestamp("1917-12-31"))
    assert table.at[0, "deaths"] == 1_700_000
    assert not table.at[0, "lost"]


@pytest.mark.parametrize("kind", ["2", "interstate"])
def test_ucdp_counts_supporting_parties(tmp_path, kind):
    text = (
        "conflict_id,year,gwno_a,gwno_a_2nd,gwno_b,gwno_b_2nd,incompatibility,intensity_level,type_of_conflict\n"
        f'259,1991,645,,690,"2, 200",1,2,{kind}\n'
    )
    table = read("ucdp", tmp_path, text)
    assert sorted(table["state"]) == [2, 200, 645, 690]
    assert dict(zip(table["state"], table["side"], strict=True))[200] == "b ally"
    assert set(table["type"]) == {"interstate"}
    assert set(table["over"]) == {"territory"}
    assert table["inter_state"].all()
    assert table["war"].all()


def test_gsdb_divides_lists_of_targets(tmp_path):
    header = "case_id,sanctioned_state,sanctioning_state,begin,end,trade,arms,military,financial,travel,other\n"
    rows = '1,"Poland,Hungary",US,1950,1960,1,0,0,0,1,0\n2,Balkans,US,2001,2022,0,0,0,1,0,0\n'
    table = read("gsdb", tmp_path, header + rows)
    assert table["state"].tolist() == [290, 310]
    assert table["kinds"].tolist() == ["trade+travel"] * 2


VDEM = "year," + ",".join(f"v2x_{i}{e}" for i in ("polyarchy", "libdem") for e in ("", "_codelow", "_codehigh", "_sd"))


@pytest.mark.parametrize("code", ["COWcode", "vdem_cowcode"])
def test_vdem(tmp_path, code):
    text = f"{code},{VDEM}\n70,1900,0.2,0.1,0.3,0.05,0.1,0,0.2,0.04\n,1900,0.2,,,,,,,\n"
    table = read("vdem", tmp_path, text)
    assert table["value"].tolist() == [0.2]
    assert table.loc[0, ["sd", "libdem_value", "libdem_sd"]].tolist() == [0.05, 0.1, 0.04]


@pytest.mark.parametrize(("code", "missing"), [("cowcode", "NA"), ("gwf_cowcode", "")])
def test_gwf_leaves_the_regime_open_where_it_is_neither(tmp_path, code, missing):
    rows = f"365,1950,party,x,33,0,{missing}\n2,1950,{missing},y,80,0,democracy\n483,1980,{missing},z,1,1,warlord\n"
    header = f"{code},year,gwf_regimetype,gwf_casename,gwf_duration,gwf_fail"
    table = read("gwf", tmp_path, f"{header},gwf_nonautocracy\n{rows}")
    assert table["regime"].fillna("").tolist() == ["autocracy", "democracy", ""]
    assert table["type"].tolist() == ["party", "democracy", "warlord"]
    assert table["fails"].tolist() == [False, False, True]
    alone = read("gwf", tmp_path, f"{header}\n365,1950,party,x,33,0\n")  # the publisher's file of autocracies
    assert alone["regime"].tolist() == ["autocracy"]


def test_nmc_counts_persons_and_knows_missing_codes(tmp_path):
    table = read("nmc", tmp_path, "stateabb,ccode,year,milex,milper,tpop,cinc\nRUS,365,1914,9,-9.0,160000,0.1\n")
    assert table.at[0, "population"] == 160_000_000
    assert pd.isna(table.at[0, "personnel"])


@pytest.mark.parametrize("name", REGISTRY)
def test_wrong_file_is_named_with_what_is_missing(tmp_path, name):
    wrong = "nmc" if name != "nmc" else "vdem"
    headers = {"nmc": "ccode,year,milex,milper,tpop,cinc", "vdem": f"COWcode,{VDEM}"}
    with pytest.raises(UsageError, match=f"is not a {name} file: it has no column .+ looks like {wrong}"):
        read(name, tmp_path, headers[wrong] + "\n1,1950" + ",1" * 8 + "\n")


@pytest.mark.parametrize("content", ["", "PK\x00\x03"])
def test_what_is_no_text_table_is_refused(tmp_path, content):
    with pytest.raises(UsageError, match="no text table"):
        read("nmc", tmp_path, content)


def test_a_cell_that_is_no_value_is_reported_with_its_row(tmp_path):
    with pytest.raises(DataError, match=r"row 3, column tpop: 'many': is not a number"):
        read("nmc", tmp_path, "ccode,year,milex,milper,tpop,cinc\n2,1816,1,1,1,0.1\n2,1817,1,1,many,0.1\n")


def test_a_file_is_found_by_its_usual_names(tmp_path):
    for file in ("UcdpPrioConflict_v25_1.csv", "NMC-60-abridged.csv", "notes.md", "1March_Archigos_4.1.txt"):
        (tmp_path / file).touch()
    found = {name: source.find(tmp_path) for name, source in REGISTRY.items()}
    assert {name for name, path in found.items() if path} == {"ucdp", "nmc", "archigos"}


def test_state_names():
    assert len(STATE_NUMBERS) > 180
    assert state_numbers("Estonia, Latvia, Lithuania") == [366, 367, 368]
    assert state_numbers("Western countries") == []
