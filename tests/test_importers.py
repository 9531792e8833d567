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


def test_of_two_issues_of_a_data_set_the_longer_is_found(tmp_path):
    (tmp_path / "archigos_4.1.csv").write_text("a longer list of leaders")
    (tmp_path / "archigos_4.1_to2010.csv").write_text("a list")
    assert REGISTRY["archigos"].find(tmp_path).name == "archigos_4.1.csv"


def test_state_names():
    assert len(STATE_NUMBERS) > 180
    assert state_numbers("Estonia, Latvia, Lithuania") == [366, 367, 368]
    assert state_numbers("Western countries") == []


# --- the data sets of the panel ------------------------------------------------------------------------------------

REIGN = "government,elected,age,male,militarycareer,tenure_months,anticipation,ref_ant,leg_ant,exec_ant,irreg_lead_ant,election_now,election_recent,lead_recent,victory_recent,defeat_recent,change_recent,delayed,lastelection,loss,irregular"


def test_reign_by_months_is_taken_at_the_end_of_the_year(tmp_path):
    flags = "0," * 12
    months = "".join(f"40,1960,{m},Personal Dictatorship,0,33,1,0,{m},{flags}1.5,2.5,0.7\n" for m in (11, 12, 10))
    table = read("reign", tmp_path, f"ccode,year,month,{REIGN}\n{months}")
    assert table["months"].tolist() == [12]
    yearly = read(
        "reign", tmp_path, f"gwcode,year,{REIGN}\n40,1960,Personal Dictatorship,0,33,1,0,12,{flags}1.5,2.5,0.7\n"
    )
    pd.testing.assert_frame_equal(table, yearly)
    assert yearly.loc[0, ["government", "male", "elected", "since_loss"]].tolist() == [
        "Personal Dictatorship",
        True,
        False,
        2.5,
    ]


def test_reign_leaders_leave_when_the_next_comes_or_at_the_end_of_the_month(tmp_path):
    header = "ccode,leadid,leader,sdate,smonth,syear,emonth,eyear,birthyear,militarycareer,Unnamed: 14,Unnamed: 15\n"
    rows = "40,1,A,10,3,1952,1.0,1959.0,1901,1,,\n40,2,B,2,1,1959,2.0,2008.0,1926,0,,\n40,3,C,24,5,2008,,,1931,,,\n"
    table = read("reign_leaders", tmp_path, header + rows)
    assert table["end"].dt.strftime("%Y-%m-%d").fillna("").tolist() == ["1959-01-02", "2008-02-29", ""]
    assert table["military"].fillna(False).tolist() == [True, False, False]


def test_reign_regimes_with_the_damage_of_a_spreadsheet(tmp_path):
    header = "cowcode,gwf_country,gwf_casename,gwf_startdate,gwf_enddate,gwf_regimetype\n"
    rows = "20,Canada,Canada11668,12/11/1931,12/31/2020,parliamentary\n40,Cuba,Cuba19063,19063,1/1/1959,party-based \n"
    table = read("reign_regimes", tmp_path, header + rows)
    assert table["id"].tolist() == ["Canada 1931-12-11", "Cuba 1952-03-10"]
    assert table["type"].tolist() == ["parliamentary", "party"]
    with pytest.raises(DataError, match="row 2, column start: 'soon': is not a date such as 3/10/1952"):
        read("reign_regimes", tmp_path, header + "20,Canada,x,soon,12/31/2020,parliamentary\n")


def test_intra_state_wars_of_the_publisher_and_by_year(tmp_path):
    official = read(
        "cow_intra",
        tmp_path,
        "WarNum,WarName,WarType,CcodeA,CcodeB,StartYear1,EndYear1,EndYear2,Outcome,SideADeaths,SideBDeaths\n"
        "900,X,4,40,-8,1957,1957,1959,2,-9,100\n",
    )
    copy = read(
        "cow_intra",
        tmp_path,
        "warnum,warname,wartype,year,ccodea,ccodeb,outcome,sideadeaths,sidebdeaths\n"
        + "".join(f"900,X,central control,{year},40,-8.0,2,-9,100\n" for year in (1957, 1958, 1959)),
    )
    pd.testing.assert_frame_equal(official, copy)
    assert copy["year"].tolist() == [1957, 1958, 1959]
    assert copy["central"].all()
    assert copy["won"].tolist() == [False] * 3
    assert copy["deaths"].isna().all()


def test_lists_of_states(tmp_path):
    gw = read("gw_states", tmp_path, "gwcode,stateabb,statename,startdate,enddate\n40,CUB,Cuba,1902-05-20,2017-12-31\n")
    cow = read(
        "cow_states",
        tmp_path,
        "stateabb,ccode,statenme,styear,stmonth,stday,endyear,endmonth,endday,version\nCUB,40,Cuba,1902,5,20,2017,12,31,2016\n",
    )
    pd.testing.assert_frame_equal(gw, cow)


def test_epr_of_the_publisher_is_summed_over_groups(tmp_path):
    header = "gwid,statename,from,to,group,groupid,gwgroupid,umbrella,size,status,reg_aut\n"
    rows = "".join(
        f"40,Cuba,1946,1947,{g},1,1,,{size},{status},f\n"
        for g, size, status in (("a", 0.6, "DOMINANT"), ("b", 0.3, "POWERLESS"), ("c", 0.1, "DISCRIMINATED"))
    )
    table = read("epr", tmp_path, header + rows)
    assert table.round(9).to_numpy().tolist() == [[40, 1946, 3, 2, 0.4], [40, 1947, 3, 2, 0.4]]
    copy = read(
        "epr",
        tmp_path,
        "gwcode,year,epr_groups,epr_excluded_groups_count,epr_excluded_group_pop\n40,1946,3.0,2.0,0.4\n40,1947,,,\n",
    )
    assert copy["excluded"].isna().tolist() == [False, True]


def test_gdp_and_population(tmp_path):
    table = read(
        "gdp_pop",
        tmp_path,
        "gwcode,year,mrgdppc,sd_mrgdppc,pwtrgdp,sd_pwtrgdp,pwtpop,sd_pwtpop\n40,1950,2000,300,9000,900,5.9,0.1\n",
    )
    assert table.loc[0, ["income", "population"]].tolist() == [2000, 5_900_000]


WDI = ("NY.GDP.MKTP.KD", "NY.GDP.MKTP.KD.ZG", "NY.GDP.PCAP.KD", "NY.GDP.PCAP.KD.ZG")


def test_world_bank_growth_of_minus_nine_is_a_number(tmp_path):
    table = read("wdi_gdp", tmp_path, f"gwcode,year,{','.join(WDI)}\n40,1991,1000,-9,10,-9.0\n40,1992,,NA,..,\n")
    assert table["growth"].tolist()[0] == table["income_growth"].tolist()[0] == -9
    assert table.loc[1, ["gdp", "growth", "income"]].isna().all()


def test_the_world_banks_own_export(tmp_path):
    header = '"Country Name","Country Code","Series Name","Series Code","1991 [YR1991]","1992 [YR1992]"\n'
    rows = "".join(
        f'"Cuba","CUB","x","{code}","{n}",".."\n"World","WLD","x","{code}","1","1"\n' for n, code in enumerate(WDI)
    )
    table = read("wdi_gdp", tmp_path, header + rows)
    assert table[["state", "year", "gdp", "income_growth"]].to_numpy().tolist() == [[40, 1991, 0, 3]]
    with pytest.raises(UsageError, match="without the series NY.GDP.PCAP.KD.ZG"):
        read("wdi_gdp", tmp_path, header + rows[: rows.index(f'"Cuba","CUB","x","{WDI[3]}"')])
    lines = '"Data Source","World Development Indicators",\n\n"Last Updated Date","2020-01-01",\n\n'
    body = '"Country Name","Country Code","Indicator Name","Indicator Code","1990","1991",\n"Cuba","CUB","x","SP.DYN.IMRT.IN","10.5","",\n'
    assert read("infant_mortality", tmp_path, lines + body)["deaths"].tolist() == [10.5]


def test_infant_mortality_of_a_copy(tmp_path):
    table = read(
        "infant_mortality", tmp_path, "gwcode,year,infmort,infmort_yearadj,infmort_imputed\n40,1990,10.5,-9,True\n"
    )
    assert table.loc[0, ["deaths", "relative", "imputed"]].tolist() == [10.5, -9, True]


def test_regions_have_names(tmp_path):
    table = read("vdem_region", tmp_path, "gwcode,e_regionpol_6C\n40,2\n900,5\n711,\n")
    assert table["region"].tolist() == ["latin_america", "west"]


def test_the_version_of_powell_and_thynes_file_says_when_it_was_issued(tmp_path):
    header = "country\tccode\tyear\tmonth\tday\tcoup\tversion\n"
    table = read(
        "powell_thyne", tmp_path, f"{header}Cuba\t40\t1952\t3\t10\t2\tV2020.10.13\nCuba\t40\t1957\t9\t5\t1\tv\n"
    )
    assert table["issued"].dt.strftime("%Y-%m-%d").fillna("").tolist() == ["2020-10-13", ""]


def test_names_in_an_old_encoding_keep_their_letters(tmp_path):
    path = tmp_path / "archigos.txt"
    text = "obsid\tccode\tleader\tstartdate\tenddate\texit\texitcode\nX-1\t93\tCháves\t1950-01-01\t1951-01-01\tRegular\tRegular\n"
    path.write_bytes(text.encode("latin-1"))
    assert REGISTRY["archigos"].read(path)["leader"].tolist() == ["Cháves"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("archigos_4.1.csv", "archigos"),
        ("powell_thyne_coups.txt", "powell_thyne"),
        ("cline_coups_2.0.0_to2020.csv", "cline"),
        ("vdem_v16_indices.csv", "vdem"),
        ("V-Dem-CY-Full+Others-v15.csv", "vdem"),
        ("vdem_region_6c.csv", "vdem_region"),
        ("reign_country_year_to2021.csv", "reign"),
        ("REIGN_2021_8.csv", "reign"),
        ("reign_leaderlist.csv", "reign_leaders"),
        ("reign_regime_list.csv", "reign_regimes"),
        ("Inter-StateWarData_v4.0.csv", "cow_wars"),
        ("Intra-StateWarData_v4.1.csv", "cow_intra"),
        ("gwf_autocratic_regimes.csv", "gwf"),
        ("EPR-2021.csv", "epr"),
        ("wdi_gdp.csv", "wdi_gdp"),
        ("wdi_infant_mortality.csv", "infant_mortality"),
        ("gdp_pop_1875.csv", "gdp_pop"),
    ],
)
def test_each_usual_name_is_that_of_one_data_set(file, name):
    assert [own for own, source in REGISTRY.items() if source.is_named(file.lower())] == [name]
