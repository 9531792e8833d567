"""How sources that disagree are settled: who ruled, what was a coup, when a campaign was. The people are invented."""

from datetime import date

import pandas as pd
import pytest

from forecast import outcomes
from forecast.outcomes import Attempt, Campaign, Spell


def spell(start, end=None, exit_="regular", leader="A", **rest):
    ending = date.fromisoformat(end) if end else None
    manner = exit_ if end else "in_office"
    return Spell("XXA", 1, leader, date.fromisoformat(start), ending, manner, False, "archigos", **rest)


def attempt(day, successful=True):
    return Attempt("XXA", date.fromisoformat(day), successful)


def campaign(first, last, result="failed", armed=False, name="Campaign"):
    return Campaign("XXA", name, first, last, result, armed)


def edges(spells):
    return [(str(own.start), str(own.end), own.exit) for own in spells]


@pytest.mark.parametrize(
    ("exit_", "after", "end", "start"),
    [
        ("regular", "1951-03-01", "1951-03-01", "1951-03-01"),  # a caretaker
        ("regular", "1951-06-01", "1951-01-01", "1951-06-01"),
        ("coup", "1951-01-31", "1951-01-01", "1951-01-01"),
        ("coup", "1951-03-01", "1951-01-01", "1951-03-01"),
    ],
)
def test_a_short_time_without_a_leader_is_the_caretakers_or_the_successors(exit_, after, end, start):
    first, second = outcomes.line_up([spell("1950-01-01", "1951-01-01", exit_), spell(after, leader="B")])
    assert (str(first.end), str(second.start)) == (end, start)


def test_a_leader_of_less_than_a_day_is_given_that_day():
    lined = outcomes.line_up(
        [spell("1950-01-01", "1951-01-01"), spell("1951-01-01", "1951-01-01"), spell("1951-01-01")]
    )
    assert edges(lined)[1:] == [("1951-01-01", "1951-01-02", "regular"), ("1951-01-02", "None", "in_office")]


def test_a_coup_of_the_day_of_exit_ends_the_spell_on_the_day_after():
    own = [spell("1950-01-01", "1953-06-13", "coup"), spell("1953-06-13", leader="B")]
    settled, removed = outcomes.settle_coups(own, [attempt("1953-06-13")])
    assert edges(settled) == [("1950-01-01", "1953-06-14", "coup"), ("1953-06-14", "None", "in_office")]
    [row] = outcomes.list_coups(settled, [attempt("1953-06-13")], removed)
    assert (row.result, str(row.start), str(row.end), row.known_on) == (
        "removed",
        "1953-06-13",
        "1953-06-14",
        row.start,
    )


def test_a_successful_coup_takes_the_nearest_exit_whatever_archigos_calls_it():
    own = [spell("1950-01-01", "1953-06-13", "regular"), spell("1953-06-13", "1960-01-01", "coup", leader="B")]
    settled, _ = outcomes.settle_coups(own, [attempt("1953-06-14")])
    assert [one.exit for one in settled] == ["coup", "irregular"]
    assert settled[0].note == "Archigos: regular; Powell and Thyne: a successful coup"
    assert settled[1].note == "Archigos: removed by a coup; Powell and Thyne: no attempt"


def test_an_attempt_that_failed_removes_nobody_by_a_coup_but_the_leader_is_gone():
    own = [spell("1950-01-01", "1964-02-17", "coup"), spell("1964-02-19", leader="B")]
    failed = attempt("1964-02-17", successful=False)
    settled, removed = outcomes.settle_coups(outcomes.line_up(own), [failed])
    assert settled[0].exit == "irregular"
    [row] = outcomes.list_coups(settled, [failed], removed)
    assert (row.result, row.name) == ("failed", "Coup attempt against A")


def test_power_taken_while_the_ruler_stays_is_a_concession():
    own = [spell("1950-01-01")]
    settled, removed = outcomes.settle_coups(own, [attempt("1973-02-10")])
    [row] = outcomes.list_coups(settled, [attempt("1973-02-10")], removed)
    assert (settled[0].exit, row.result) == ("in_office", "concession")


def test_two_coups_do_not_end_one_spell_and_one_coup_not_two():
    own = [
        spell("1950-01-01", "1960-01-05", "coup"),
        spell("1960-01-05", "1960-01-09", "coup", leader="B"),
        spell("1960-01-09", leader="C"),
    ]
    settled, removed = outcomes.settle_coups(own, [attempt("1960-01-05")])
    assert [one.exit for one in settled] == ["coup", "irregular", "in_office"]
    tries = [attempt("1960-01-05"), attempt("1960-01-09")]
    settled, removed = outcomes.settle_coups(own, tries)
    assert [one.exit for one in settled] == ["coup", "coup", "in_office"]
    assert {str(one.day): ended.leader for one, ended in removed.items()} == {"1960-01-05": "A", "1960-01-09": "B"}


def test_an_exit_is_not_moved_past_the_successor():
    own = [
        spell("1950-01-01", "1960-01-05", "coup"),
        spell("1960-01-05", "1960-01-07", leader="B"),
        spell("1960-01-07", leader="C"),
    ]
    settled, removed = outcomes.settle_coups(own, [attempt("1960-01-20")])
    assert edges(settled)[0] == ("1950-01-01", "1960-01-05", "irregular")
    assert [ended.leader for ended in removed.values()] == ["B"]


def test_coups_before_attempts_are_listed_are_known_by_the_removal_alone():
    own = [spell("1930-01-01", "1935-01-10", "coup"), spell("1935-01-10", "1955-01-01", "regular", leader="B")]
    settled, _ = outcomes.settle_coups(own, [])
    parts = outcomes.split_at(settled, outcomes.ATTEMPTS_FROM)
    assert edges(parts)[1:] == [("1935-01-10", "1950-01-01", "frame_end"), ("1950-01-01", "1955-01-01", "regular")]
    assert parts[2].entered == date(1935, 1, 10)
    [row] = outcomes.list_early_coups(parts)
    assert (str(row.start), str(row.end), row.result) == ("1935-01-09", "1935-01-10", "removed")


@pytest.mark.parametrize(
    ("own", "exits", "days"),
    [
        (campaign(1980, 1980), [], ("1980-05-01", "1980-08-31", "failed")),
        (campaign(1980, 1984), [], ("1980-07-01", "1984-07-01", "failed")),
        (campaign(1980, None, "ongoing"), [], ("1980-07-01", "None", "ongoing")),
        (campaign(1980, 1980, "removed"), ["1980-03-01"], ("1980-01-31", "1980-03-01", "removed")),
        (campaign(1979, 1980, "removed"), ["1980-03-01"], ("1979-07-01", "1980-03-01", "removed")),
        (campaign(1979, 1979, "failed"), ["1980-03-01"], ("1979-05-01", "1980-03-01", "removed")),
        (campaign(1980, 1980, "removed"), [], ("1980-05-01", "1980-08-31", "concession")),
        (campaign(1980, 1980, "removed"), ["1980-01-01"], ("1979-12-31", "1980-01-01", "removed")),
    ],
)
def test_a_campaign_known_by_years_is_given_days(own, exits, days):
    leaders = [spell("1970-01-01", *exits, "revolution", leader="A")] if exits else [spell("1970-01-01")]
    rows = outcomes.list_uprisings(leaders, [own])
    assert (str(rows[0].start), str(rows[0].end), rows[0].result) == days


def test_a_success_that_archigos_does_not_know_as_a_removal_ends_with_the_exit_as_a_concession():
    own = [spell("1997-07-23", "2000-10-07"), spell("2000-10-07", leader="B")]
    [row] = outcomes.list_uprisings(own, [campaign(1996, 2000, "removed")])
    assert (str(row.end), row.result) == ("2000-10-07", "concession")


def test_a_campaign_against_several_leaders_has_a_row_for_each():
    own = [
        spell("1970-01-01", "1982-01-01"),
        spell("1982-01-01", "1986-02-25", "revolution", leader="B"),
        spell("1986-02-25", leader="C"),
    ]
    rows = outcomes.list_uprisings(own, [campaign(1980, 1986, "removed", name="Long march")])
    assert [(str(row.start), str(row.end), row.result, row.inherited) for row in rows] == [
        ("1980-07-01", "1982-01-01", "failed", False),
        ("1982-01-01", "1986-02-25", "removed", True),
    ]
    assert [str(row.known_on) for row in rows] == ["1980-12-31", "1982-01-01"]


def test_an_uprising_known_by_years_is_known_at_the_end_of_its_first_year_or_on_the_day_it_removes():
    [failed] = outcomes.list_uprisings([spell("1970-01-01")], [campaign(1980, 1980)])
    [removed] = outcomes.list_uprisings(
        [spell("1970-01-01", "1980-03-01", "revolution")], [campaign(1980, 1980, "removed")]
    )
    assert (str(failed.known_on), str(removed.known_on)) == ("1980-12-31", "1980-03-01")


def test_the_campaign_that_removed_a_leader_is_the_one_that_succeeded():
    own = [spell("1970-01-01", "1986-02-25", "revolution"), spell("1986-02-25", leader="B")]
    rows = outcomes.list_uprisings(
        own,
        [campaign(1972, None, "ongoing", armed=True, name="Rebels"), campaign(1983, 1986, "removed", name="Square")],
    )
    assert {(row.name, row.result) for row in rows} == {
        ("Rebels", "failed"),
        ("Rebels", "ongoing"),
        ("Square", "removed"),
    }


def test_a_removal_without_a_campaign_is_an_uprising_of_a_month():
    [row] = outcomes.list_uprisings([spell("1970-01-01", "1990-03-10", "revolution")], [])
    assert (str(row.start), row.result, row.inherited) == ("1990-02-08", "removed", False)
    [short] = outcomes.list_uprisings([spell("1990-03-01", "1990-03-10", "revolution")], [])
    assert str(short.start) == "1990-03-01"


# --- how far the sources go ----------------------------------------------------------------------------------------


def leaders_to(day):
    return pd.DataFrame({"start": [pd.Timestamp("1950-01-01")], "end": [pd.Timestamp(day)]})


@pytest.mark.parametrize(
    ("day", "last"), [("2010-12-31", "2010-12-31"), ("2015-12-03", "2015-12-31"), ("2021-08-20", "2020-12-31")]
)
def test_leaders_are_known_to_the_last_whole_year(day, last):
    assert str(outcomes.last_day(leaders_to(day))) == last


@pytest.mark.parametrize(
    ("attempt_", "issued", "last"),
    [
        ("2010-11-17", "2020-10-13", "2010-12-31"),
        ("2020-08-18", "2020-10-13", "2019-12-31"),  # issued before the year was over
        ("2017-11-15", None, "2017-12-31"),
    ],
)
def test_coup_attempts_are_known_to_the_last_whole_year_that_has_one(attempt_, issued, last):
    coups = pd.DataFrame({"day": [pd.Timestamp(attempt_)], "issued": [pd.Timestamp(issued) if issued else pd.NaT]})
    assert str(outcomes.last_coup_day(coups)) == last


def reign(*rows):
    table = pd.DataFrame(rows, columns=["state", "leader", "start", "end"])
    return table.assign(start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]))


def test_after_archigos_ends_the_leaders_are_those_of_reign():
    own = [Spell("COL", 100, "A", date(2002, 8, 7), None, "in_office", False, "archigos")]
    after = reign(
        (100, "B", "2010-08-07", "2014-08-07"), (100, "C", "2014-08-07", None), (100, "old", "1998-08-07", "2002-08-07")
    )
    chain = outcomes.extend_spells(own, after, date(2005, 12, 31), date(2012, 12, 31))
    assert [(one.leader, str(one.end), one.exit, one.source) for one in chain] == [
        ("A", "2010-08-07", "regular", "archigos"),
        ("B", "None", "in_office", "reign"),
    ]


def test_after_archigos_ends_only_an_armed_success_is_a_removal():
    own = [spell("2000-01-01", "2018-03-01"), spell("2018-03-01", leader="B")]
    for armed, exit_ in ((True, "revolution"), (False, "regular")):
        settled = outcomes.settle_campaigns(own, [campaign(2016, 2018, "removed", armed=armed)], date(2015, 12, 31))
        assert settled[0].exit == exit_
    before = outcomes.settle_campaigns(own, [campaign(2016, 2018, "removed", armed=True)], date(2018, 12, 31))
    assert before[0].exit == "regular"


def test_what_a_campaign_comes_to_after_the_last_day_is_not_known():
    navco = pd.DataFrame(
        {
            "name": ["x", "y"], "state": [100, 100], "start_year": [2009, 2012], "end_year": [2011, 2013],
            "result": ["removed", "failed"], "armed": [False, False], "regime_change": [True, True],
        }
    )  # fmt: skip
    [own] = outcomes.list_campaigns(navco, date(2010, 12, 31))
    assert (own.last, own.result) == (None, "ongoing")
