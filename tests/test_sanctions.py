"""Severity of sanctions from kinds of measure and trade shares; readings are held to it, and none outlives its window."""

from datetime import date

import pytest

from forecast.checks import check_study
from forecast.sanctions import FLAT, KINDS, change_days, in_force_on, make_readings, reach, severity
from forecast.schema import MEASURES, SHARES, SanctionRow


def measures(kinds, share="most", start="2001-01-01", end="", senders="Neighbours"):
    return SanctionRow(
        country="XNL", start=start, end=end, measures=kinds, senders=senders, share=share, known_on=start,
        sources="north_2001", note="",
    )  # fmt: skip


def values(*rows):
    found = severity(rows)
    return found.value, found.low, found.high


def test_none_in_force_is_zero_without_a_range():
    assert values() == (0.0, 0.0, 0.0)


def test_one_measure_is_depth_times_the_root_of_the_share():
    """Finance weighs 0.4; the middle of "large" is 37.5% of trade: 0.4 x 0.612 = 0.245."""
    assert values(measures("finance", "large")) == (0.25, 0.15, 0.4)


def test_kinds_add_up_as_independent_blows():
    """1 - (1 - 0.4 x 0.791)(1 - 0.2 x 0.791)(1 - 0.1) = 0.482."""
    assert values(measures("finance;goods;arms", "most"))[0] == 0.5


def test_of_one_kind_the_farthest_reaching_counts():
    assert values(measures("goods", "large"), measures("goods", "small")) == values(measures("goods", "large"))


@pytest.mark.parametrize("kind", FLAT)
def test_lists_of_persons_and_arms_embargoes_weigh_the_same_whoever_sends_them(kind):
    assert values(measures(kind, "trace")) == values(measures(kind, "nearly_all")) == (0.1, 0.05, 0.15)


def test_the_slightest_measure_is_not_nothing():
    assert values(measures("goods", "trace")) == (0.05, 0.0, 0.1)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", MEASURES)
def test_every_measure_has_a_range_around_it(kind, share):
    value, low, high = values(measures(kind, share))
    assert 0 <= low < value < high <= 1


def test_a_greater_share_and_one_more_measure_never_weigh_less():
    by_share = [values(measures("trade", share))[0] for share in SHARES]
    by_kind = [values(measures(";".join(MEASURES[: count + 1])))[0] for count in range(len(MEASURES))]
    assert by_share == sorted(by_share)
    assert by_kind == sorted(by_kind)
    assert reach("nearly_all")[2] == 1.0
    assert set(KINDS) == set(MEASURES)


def test_readings_are_made_where_the_severity_changes_and_at_a_window_with_sanctions():
    rows = [
        measures("arms", start="1999-01-01", end="2002-01-01"),
        measures("finance", start="2001-01-01", end="2015-01-01"),
    ]
    windows = [(date(2000, 1, 1), date(2005, 1, 1)), (date(2010, 1, 1), date(2012, 1, 1)), (date(2016, 1, 1), None)]
    made = list(make_readings(rows, windows))
    assert [(str(row.observed_on), row.value) for row in made] == [
        ("2000-01-01", 0.1), ("2001-01-01", 0.4), ("2002-01-01", 0.3), ("2010-01-01", 0.3), ("2016-01-01", 0.0),
    ]  # fmt: skip
    assert made[0].note == "unchanged at start of spell"
    again = make_readings(rows, windows, [date(2000, 1, 1), date(2003, 1, 1), date(2017, 1, 1)])
    assert [str(row.observed_on) for row in again if row not in made] == ["2003-01-01"]
    assert made[1].note == "Neighbours: finance"
    assert made[2].note == "Neighbours: arms end"
    assert change_days(rows, *windows[0]) == [date(2000, 1, 1), date(2001, 1, 1), date(2002, 1, 1)]
    assert in_force_on(rows, date(2002, 1, 1)) == rows[1:]  # the end is the first day without


HEADER = "country,start,end,measures,senders,share,known_on,sources,note\n"
SECTION = """
[sanctions]
label = "Sanctions"
unit = "0 to 1"
range = [0.0, 1.0]
role = "judgement"
absent = "zero"
"""


@pytest.fixture
def sanctioned(tiny_tables):
    """The invented study with one measure from 2005 to 2010, and the readings that follow."""
    data = tiny_tables.data
    with (data / "codebook.toml").open("a", encoding="utf-8") as file:
        file.write(SECTION)
    (data / "sanctions.csv").write_text(
        HEADER + "XNL,2005-01-01,2010-01-01,finance;goods,Neighbours,most,2005-01-01,north_2001,\n", encoding="utf-8"
    )
    with (data / "indicators.csv").open("a", encoding="utf-8") as file:
        file.write("XNL,sanctions,2005-01-01,0.4,0.3,0.6,A,judgement,2005-01-01,north_2001,\n")
        file.write("XNL,sanctions,2010-01-01,0,0,0,A,judgement,2010-01-01,north_2001,\n")
    return data


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_readings_near_the_table_are_sound(sanctioned):
    assert check_study(sanctioned) == []


def test_a_study_without_the_table_may_type_its_readings(sanctioned):
    (sanctioned / "sanctions.csv").unlink()
    assert check_study(sanctioned) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("2005-01-01,0.4,0.3", "2005-01-01,0.6,0.3", ("indicators.csv", 22, "value")),
        ("XNL,sanctions,2010-01-01", "XNL,sanctions,2011-01-01", ("sanctions.csv", 2, "end")),
        ("XNL,sanctions,2005-01-01", "XNL,sanctions,2005-07-01", ("sanctions.csv", 2, "start")),
    ],
)
def test_a_reading_far_from_the_table_is_named(sanctioned, old, new, place):
    change(sanctioned / "indicators.csv", old, new)
    problems = [problem for problem in check_study(sanctioned) if "docs/sanctions.py" in problem.remedy]
    assert place in [(problem.file, problem.row, problem.column) for problem in problems]


@pytest.mark.parametrize(
    ("old", "new", "column", "message"),
    [
        ("finance;goods", "finance;money", "measures", "allowed words"),
        (",most,", ",half,", "share", "allowed value"),
        ("XNL,2005", "XWL,2005", "country", "not in countries.csv"),
        ("north_2001", "north_2002", "sources", "not in sources.bib"),
        ("2010-01-01", "2004-01-01", "end", "not after the start"),
        ("Neighbours", "", "senders", "empty"),
    ],
)
def test_damage_to_the_table_is_named(sanctioned, old, new, column, message):
    change(sanctioned / "sanctions.csv", old, new)
    assert any(
        problem.file == "sanctions.csv" and problem.column == column and message in problem.message
        for problem in check_study(sanctioned)
    ), check_study(sanctioned)


def test_the_committed_readings_are_those_of_the_table(repository):
    """What docs/sanctions.py would write is what stands."""
    from forecast.checks import read_study, windows

    tables, _ = read_study(repository / "data")
    stands = {(row.country, row.observed_on): row for _, row in tables.indicators if row.indicator == "sanctions"}
    for country in {row.country for _, row in tables.sanctions}:
        rows = [row for _, row in tables.sanctions if row.country == country]
        frame = [(window.start, window.end) for window in windows(tables) if window.country == country]
        spells = [row.start for _, row in tables.leaders if row.country == country]
        for made in make_readings(rows, frame, spells):
            assert stands.pop((made.country, made.observed_on)) == made
    assert not stands


BETWEEN = "is still in force when the next window of XNL begins on 2012-01-01"


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (["2005-01-01,0.4,0.3,0.6"], [BETWEEN]),
        (["2005-01-01,0.4,0.3,0.6", "2009-01-01,0,0,0"], []),
        (["2005-01-01,0.4,0.3,0.6", "2012-01-01,0.2,0.1,0.3"], []),
        (["2005-01-01,0,0,0", "2013-01-01,0.2,0.1,0.3"], []),
    ],
)
def test_a_war_or_sanctions_must_not_carry_over_into_the_next_window(sanctioned, readings, expected):
    (sanctioned / "sanctions.csv").unlink()
    change(
        sanctioned / "countries.csv",
        "XNL,2000-01-01,,901,Northland,north,invented,\n",
        "XNL,2000-01-01,2010-01-01,901,Northland,north,invented,\nXNL,2012-01-01,,901,Northland,north,invented,\n",
    )
    change(
        sanctioned / "leaders.csv",
        "XNL-2006-brown,XNL,Bo Brown,2006-05-10,,in_office,,survey_2015,\n",
        "XNL-2006-brown,XNL,Bo Brown,2006-05-10,2010-01-01,frame_end,,survey_2015,\n"
        "XNL-2012-brown,XNL,Bo Brown,2012-01-01,,in_office,2006-05-10,survey_2015,\n",
    )
    path = sanctioned / "indicators.csv"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("XNL,sanctions")]
    lines += [f"XNL,sanctions,{row},A,judgement,{row[:10]},north_2001," for row in readings]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = [problem.message for problem in check_study(sanctioned) if problem.column == "value"]
    assert [message for message in found if "next window" in message] == expected
