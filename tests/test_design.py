"""The design against rows written out by hand, and against the tables of the real study."""

import csv
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecast.data import Data
from forecast.design import build_design, list_challenges, places, read_indicator
from forecast.errors import SpecError
from forecast.schema import Codebook
from forecast.spec import Spec
from forecast.study import REPOSITORY

YEAR = 365.25
RANGE = 3.289707253902944  # standard deviations in a 90% range


def stamp(text):
    return pd.Timestamp(text) if text else pd.NaT


def frame(columns, rows):
    made = pd.DataFrame(rows, columns=columns.split())
    for name in ("start", "end", "entered", "observed_on", "known_on"):
        if name in made:
            made[name] = pd.to_datetime(made[name].map(stamp)).astype("datetime64[s]")
    return made


@pytest.fixture
def hand_made():
    """Two leaders of AAA, one removed by an uprising after a failed coup attempt; one leader of BBB, never read."""
    codebook = Codebook.model_validate({
        "study": {"title": "By hand", "coded_to": date(2001, 12, 31)},
        "indicators": {
            "war": {"label": "War", "unit": "", "range": (-1, 1), "role": "judgement", "absent": "zero"},
            "hardship": {"label": "Hardship", "unit": "", "range": (0, 1), "role": "judgement", "absent": "missing"},
            "tenure": {"label": "Tenure", "unit": "", "range": (0, 4), "role": "computed", "absent": "missing"},
            "recent_challenge": {"label": "R", "unit": "", "range": (0, 1), "role": "computed", "absent": "missing"},
        },
    })  # fmt: skip
    return Data(
        countries=frame(
            "country start end name group", [("AAA", "2000-01-01", "", "A", "g1"), ("BBB", "2000-01-01", "", "B", "g2")]
        ),
        leaders=frame(
            "spell_id country leader start end exit entered",
            [
                ("AAA-2000-one", "AAA", "One", "2000-01-01", "2001-07-01", "revolution", ""),
                ("AAA-2001-two", "AAA", "Two", "2001-07-01", "", "in_office", ""),
                ("BBB-2000-bee", "BBB", "Bee", "2000-01-01", "2000-02-01", "regular", "1999-01-01"),
            ],
        ),
        events=frame(
            "event_id country kind start end result inherited known_on",
            [
                ("AAA-2000-plot", "AAA", "coup_attempt", "2000-09-10", "2000-09-10", "failed", False, "2000-09-10"),
                ("AAA-2001-rising", "AAA", "uprising", "2001-06-20", "2001-07-01", "removed", False, "2001-06-20"),
            ],
        ),
        indicators=frame(
            "country indicator observed_on value low high coder known_on",
            [
                ("AAA", "hardship", "2000-03-01", 0.2, 0.1, 0.3, "A", "2000-03-01"),
                ("AAA", "hardship", "2000-03-01", 0.6, 0.4, 0.8, "B", "2000-03-01"),
                ("AAA", "hardship", "2000-10-01", 0.4, 0.2, 0.6, "A", "2000-10-01"),
                ("AAA", "war", "2001-02-01", -0.5, -0.8, -0.2, "A", "2001-02-01"),
                ("AAA", "war", "2001-05-01", 0.0, 0.0, 0.0, "A", "2001-05-01"),
            ],
        ),
        codebook=codebook,
        known_to=date(2001, 12, 31),
    )


@pytest.fixture
def hand_spec():
    both = {"failed": {"mean": 0.0, "sd": 1.0}, "gap": {"mean": 0.5, "sd": 0.5}}
    one = {"mean": 0.0, "sd": 1.0}
    return Spec.model_validate({
        "name": "hand", "title": "By hand",
        "onset": {
            "baseline": {"coup": one, "uprising": one, "other_exit": one}, "period_years": 1,
            "effects": [
                {"term": "war", "on": ("coup",), "varies_by_group": True}, {"term": "hardship", "on": ("uprising",)},
                {"term": "tenure", "on": ("coup",)}, {"term": "recent_challenge", "on": ("coup", "uprising")},
                {"term": "war:hardship", "on": ("uprising",)},
            ],
        },
        "result": {"cutpoints": {"coup": both, "uprising": both}, "log_days": {"coup": one, "uprising": one}},
    })  # fmt: skip


@pytest.fixture
def design(hand_made, hand_spec):
    return build_design(hand_made, hand_spec)


# Cuts of the first spell: readings, tenure of half a year and a year (each rounded down to a day), the plot, the turn of
# the year (a period), recency of half a year, the end of the war, the rising. Recency of a year cuts the second spell.
STARTS = [
    "2000-01-01", "2000-03-01", "2000-07-01", "2000-09-10", "2000-10-01", "2000-12-31", "2001-01-01", "2001-02-01",
    "2001-03-11", "2001-05-01", "2001-06-20", "2001-07-01", "2001-09-10", "2001-12-30", "2000-01-01",
]  # fmt: skip
DAYS = [60, 122, 71, 21, 91, 1, 31, 38, 51, 50, 11, 71, 111, 2, 31]


def test_rows_are_cut_where_something_changes(design):
    assert [str(day)[:10] for day in design["row_start"].to_numpy()] == STARTS
    np.testing.assert_allclose(design["exposure"] * YEAR, DAYS, rtol=1e-12)
    assert list(design["row_spell"].to_numpy()) == ["AAA-2000-one"] * 11 + ["AAA-2001-two"] * 3 + ["BBB-2000-bee"]
    assert list(design["row_period"].to_numpy()) == [2000] * 6 + [2001] * 8 + [2000]
    assert list(design["row_group"].to_numpy()) == ["g1"] * 14 + ["g2"]


def test_an_event_belongs_to_the_row_that_ends_on_its_day(design):
    expected = np.zeros((15, 3))
    expected[2, 0] = 1  # the plot of 10 September ends the stretch that began on 1 July
    expected[9, 1] = 1  # the rising of 20 June
    expected[14, 2] = 1  # Bee leaves by the rules; One is removed, which is no other exit
    np.testing.assert_array_equal(design["events"], expected)


def test_coders_are_averaged_and_their_disagreement_widens_the_spread(design):
    known = [122 + 71 + 21, 91 + 1 + 31 + 38 + 51 + 50 + 11 + 71 + 111 + 2]
    location = (0.4 * known[0] + 0.5 * known[1]) / sum(known)
    sd = np.sqrt((known[0] * (0.4 - location) ** 2 + known[1] * (0.5 - location) ** 2) / sum(known))
    first = np.sqrt(((0.2 / RANGE) ** 2 + (0.4 / RANGE) ** 2) / 2 + 0.2**2)
    second = np.sqrt((0.4 / RANGE) ** 2 + 0.1**2)
    value = [location] + [0.4] * 3 + [0.5] * 10 + [location]
    spread = [sd] + [first] * 3 + [second] * 10 + [sd]
    hardship = design.sel(indicator="hardship")
    np.testing.assert_allclose([hardship["location"], hardship["scale"], hardship["sd"]], [location, 0.5, sd])
    np.testing.assert_allclose(hardship["centre"], (np.array(value) - location) / 0.5, atol=1e-12)
    np.testing.assert_allclose(hardship["spread"], np.array(spread) / 0.5)
    np.testing.assert_array_equal(hardship["missing"], [True] + [False] * 13 + [True])


def test_what_does_not_exist_is_zero_without_spread(design):
    war = design.sel(indicator="war")
    location = -0.5 * (38 + 51) / sum(DAYS)
    raw = np.array([0.0] * 7 + [-0.5] * 2 + [0.0] * 6)
    np.testing.assert_allclose(war["centre"], raw - location)
    np.testing.assert_allclose(war["spread"], np.where(raw == 0, 0.0, 0.6 / RANGE))
    assert not war["missing"].any()


def test_tenure_and_recency_are_those_of_the_middle_of_a_row(design):
    one = np.cumsum([0, *DAYS[:11]])[:11] + np.array(DAYS[:11]) / 2
    two = np.cumsum([0, *DAYS[11:14]])[:3] + np.array(DAYS[11:14]) / 2
    tenure = np.log1p(np.concatenate([one, two, [365 + 15.5]]) / YEAR)
    scaled = design.sel(indicator="tenure")
    location = np.average(tenure, weights=DAYS)
    np.testing.assert_allclose(scaled["centre"], (tenure - location) / 2, atol=1e-12)

    since_plot = one[3:10] - (60 + 122 + 71)
    recency = np.concatenate([np.zeros(3), np.exp(-since_plot / YEAR / 5), [1.0], np.exp(-two / YEAR / 5), [0.0]])
    scaled = design.sel(indicator="recent_challenge")
    location = np.average(recency, weights=DAYS)
    np.testing.assert_allclose(scaled["centre"], (recency - location) / 0.5, atol=1e-12)
    assert not scaled["spread"].any()


def test_the_constant_is_one(design):
    one = design.sel(indicator="one")
    assert (one["centre"] == 1).all()
    assert (one["challenge_centre"] == 1).all()
    assert not one["spread"].any()


def test_challenges_carry_result_length_and_the_day_before(design):
    assert list(design["challenge_id"].to_numpy()) == ["AAA-2000-plot", "AAA-2001-rising"]
    assert list(design["challenge_kind"].to_numpy()) == ["coup", "uprising"]
    assert list(design["result"].to_numpy()) == [0, 2]
    np.testing.assert_allclose(design["log_days"], np.log([1, 12]))
    assert design["ended"].all()
    assert not design["inherited"].any()
    recency = design.sel(indicator="recent_challenge")
    raw = recency["challenge_centre"].to_numpy() * 0.5 + float(recency["location"])
    np.testing.assert_allclose(raw, [0.0, np.exp(-283 / YEAR / 5)], atol=1e-12)


def test_a_reading_never_explains_an_event_of_its_own_day(hand_made, hand_spec, design):
    late = hand_made.indicators.iloc[[2]].assign(value=1.0, high=1.0, low=0.9, observed_on=stamp("2000-09-10"))
    later = replace(hand_made, indicators=pd.concat([hand_made.indicators, late], ignore_index=True))
    changed = build_design(later, hand_spec)

    def raw(made, name):
        hardship = made.sel(indicator="hardship")
        return hardship[name].to_numpy() * 0.5 + float(hardship["location"])

    np.testing.assert_allclose(raw(changed, "challenge_centre")[0], raw(design, "challenge_centre")[0])
    np.testing.assert_allclose(raw(changed, "centre")[1:3], 0.4)  # up to the day of the plot
    np.testing.assert_allclose(raw(changed, "centre")[3], 0.8)  # from the day after it: coders 1.0 and 0.6


def test_a_lag_keeps_the_weeks_before_an_event_out_of_its_explanation(hand_made, hand_spec):
    """With a lag of 30 days, a reading counts from 30 days on, except that a spell begins with what is known."""
    spec = hand_spec.model_copy(update={"onset": hand_spec.onset.model_copy(update={"lag_days": 30})})
    late = hand_made.indicators.iloc[[2]].assign(value=1.0, high=1.0, low=0.9, observed_on=stamp("2000-08-20"))
    at_start = late.assign(value=0.0, low=0.0, high=0.1, observed_on=stamp("2001-07-01"))
    readings = pd.concat([hand_made.indicators, late, at_start], ignore_index=True)
    made = build_design(replace(hand_made, indicators=readings), spec)
    starts = [str(day)[:10] for day in made["row_start"].to_numpy()]
    hardship = made.sel(indicator="hardship")
    raw = dict(zip(starts[:-1], hardship["centre"].to_numpy() * 0.5 + float(hardship["location"]), strict=False))
    assert hardship["missing"][0]
    assert "2000-03-01" not in starts  # nothing changes in the model on the day of the reading
    assert raw["2000-03-31"] == pytest.approx(0.4)  # A 0.2 and B 0.6, thirty days later
    assert raw["2000-09-10"] == pytest.approx(0.4)  # from the day of the plot: not yet the reading of August
    assert raw["2000-09-19"] == pytest.approx(0.8)  # A 1.0 and B 0.6
    assert raw["2001-07-01"] == pytest.approx(0.3)  # the second spell begins with the reading of its first day
    challenges = made["challenge_centre"].sel(indicator="hardship").to_numpy() * 0.5 + float(hardship["location"])
    assert challenges[0] == pytest.approx(0.4)


def test_levels_and_labels(design):
    assert list(design["slope"].to_numpy()) == ["war on coup"]
    assert list(design["effect"].to_numpy()) == [
        "war on coup", "hardship on uprising", "tenure on coup", "recent_challenge on coup",
        "recent_challenge on uprising", "war:hardship on uprising",
    ]  # fmt: skip
    assert list(design["latent"].to_numpy()) == ["war", "hardship"]
    assert list(design["indicator"].to_numpy()) == ["war", "hardship", "tenure", "recent_challenge", "one"]


def test_an_unknown_level_is_an_error_and_not_another_level(design):
    moved = design.assign_coords(row_group=("row", ["g1"] * 14 + ["g3"]))
    with pytest.raises(SpecError, match="g3"):
        places(moved, "row_group", "group")


def test_an_indicator_without_any_reading_is_an_error(hand_made, hand_spec):
    bare = replace(hand_made, indicators=hand_made.indicators[hand_made.indicators["indicator"] == "war"])
    with pytest.raises(SpecError, match="hardship has no reading"):
        build_design(bare, hand_spec)


def test_a_term_that_is_not_in_the_codebook_is_an_error(hand_made, hand_spec):
    content = hand_spec.model_dump()
    content["onset"]["effects"] = [{"term": "misery", "on": ("coup",)}]
    with pytest.raises(SpecError, match="misery"):
        build_design(hand_made, Spec.model_validate(content))


# --- the real study


@pytest.fixture(scope="module")
def every_frame(default_spec):
    return default_spec.model_copy(update={"frames": ()})


@pytest.fixture(scope="module")
def real_design(real_data, every_frame):
    return build_design(real_data, every_frame)


def table(name):
    with (REPOSITORY / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def leader_years(rows, known_to):
    last = date.fromordinal(known_to.toordinal() + 1)
    ends = [date.fromisoformat(row["end"]) if row["end"] else last for row in rows]
    return sum((end - date.fromisoformat(row["start"])).days for end, row in zip(ends, rows, strict=True)) / YEAR


def test_exposure_is_every_leader_day(real_design, real_data):
    years = leader_years(table("leaders"), real_data.known_to)
    np.testing.assert_allclose(float(real_design["exposure"].sum()), years, rtol=1e-12)
    assert (real_design["exposure"] > 0).all()


def test_a_frame_is_every_leader_day_inside_it(real_data, default_spec):
    assert default_spec.frames == ("post_soviet_census",)
    periods = [row for row in table("countries") if row["frame"] in default_spec.frames]
    census = [
        row
        for row in table("leaders")
        if any(
            row["country"] == period["country"]
            and period["start"] <= row["start"]
            and (row["start"] < period["end"] or not period["end"])
            for period in periods
        )
    ]
    design = build_design(real_data, default_spec)
    assert 0 < len(census) < len(table("leaders"))
    np.testing.assert_allclose(float(design["exposure"].sum()), leader_years(census, real_data.known_to), rtol=1e-12)
    assert set(design["row_spell"].to_numpy()) == {row["spell_id"] for row in census}
    assert set(design["group"].to_numpy()) == {period["group"] for period in periods}


def test_every_challenge_that_is_not_inherited_is_one_onset(real_design):
    events = [row for row in table("events") if row["inherited"] == "0"]
    totals = real_design["events"].sum("row")
    assert int(totals.sel(cause="coup")) == sum(row["kind"] == "coup_attempt" for row in events)
    assert int(totals.sel(cause="uprising")) == sum(row["kind"] == "uprising" for row in events)
    flat = real_design["events"]
    for row in events:
        cause = "coup" if row["kind"] == "coup_attempt" else "uprising"
        hit = flat.sel(cause=cause)[(flat["row_country"] == row["country"]).to_numpy()]
        ends = hit["row_end"].to_numpy().astype("datetime64[D]")
        starts = hit["row_start"].to_numpy().astype("datetime64[D]")
        day = np.datetime64(row["start"])
        inside = ((starts < day) & (day <= ends)) | ((starts == day) & ~np.isin(day, ends[:-1]))
        assert hit.to_numpy()[inside | (starts == day)].sum() >= 1, row["event_id"]


def test_other_exits_are_those_of_the_leader_table(real_design):
    other = {"regular", "natural_death", "ill_health", "assassination", "foreign", "state_dissolved"}
    expected = {row["spell_id"] for row in table("leaders") if row["exit"] in other}
    marked = real_design["row_spell"][(real_design["events"].sel(cause="other_exit") == 1).to_numpy()]
    assert set(marked.to_numpy()) == expected
    assert marked.size == len(expected)


def test_every_challenge_is_in_the_result_stage(real_design, real_data, every_frame):
    rows = table("events")
    assert sorted(real_design["challenge_id"].to_numpy()) == sorted(row["event_id"] for row in rows)
    results = {row["event_id"]: row["result"] for row in rows}
    levels = ["failed", "concession", "removed"]
    for name, result in zip(real_design["challenge_id"].to_numpy(), real_design["result"].to_numpy(), strict=True):
        assert result == (levels.index(results[name]) if results[name] in levels else -1)
    assert (real_design["ended"] == (real_design["result"] >= 0)).all()
    assert len(list_challenges(real_data, every_frame)) == len(rows)


def test_a_state_changes_its_group_with_its_period(real_design):
    russia = (real_design["row_country"] == "RUS").to_numpy()
    starts, groups = real_design["row_start"].to_numpy()[russia], real_design["row_group"].to_numpy()[russia]
    expected = np.select(
        [starts < np.datetime64("1917-11-07"), starts < np.datetime64("1991-12-26")],
        ["imperial_russia", "soviet_union"],
        "post_soviet_europe",
    )
    np.testing.assert_array_equal(groups, expected)


def without_later(data, day):
    """Return a study from which every row known after a day was deleted, as if it had never been written."""
    stamp = pd.Timestamp(day)
    hidden = {"end": pd.NaT}
    leaders = data.leaders[data.leaders["start"] <= stamp].copy()
    leaders.loc[leaders["end"] > stamp, ["exit"]] = "in_office"
    leaders.loc[leaders["end"] > stamp, ["end"]] = hidden["end"]
    events = data.events[data.events["known_on"] <= stamp].copy()
    events.loc[events["end"] > stamp, ["result"]] = "ongoing"
    events.loc[events["end"] > stamp, ["end"]] = hidden["end"]
    countries = data.countries[data.countries["start"] <= stamp].copy()
    countries.loc[countries["end"] > stamp, ["end"]] = hidden["end"]
    keep = (data.indicators["known_on"] <= stamp) & (data.indicators["observed_on"] <= stamp)
    return replace(data, countries=countries, leaders=leaders, events=events, indicators=data.indicators[keep])


@pytest.mark.parametrize("day", ["1905-10-30", "1991-12-25", "2003-11-15", "2014-02-20"])
def test_an_earlier_view_does_not_depend_on_later_rows(real_data, default_spec, day):
    seen = real_data.as_of(day)
    forgotten = without_later(real_data, day).as_of(day)
    assert len(forgotten.indicators) < len(real_data.indicators)
    assert seen.digest == forgotten.digest
    readings = seen.indicators["indicator"].unique()
    effects = [effect for effect in default_spec.onset.effects if {*effect.factors} <= {*readings, "tenure"}]
    spec = default_spec.model_copy(update={
        "onset": default_spec.onset.model_copy(update={"effects": tuple(effects)}),
        "result": default_spec.result.model_copy(update={"effects": ()}),
    })  # fmt: skip
    xr.testing.assert_identical(build_design(seen, spec), build_design(forgotten, spec))


def test_a_row_of_the_future_would_be_seen(real_data, tiny_data, default_spec):
    """The comparison above can fail: a reading that was known does change the design."""
    day = "2014-02-20"
    seen = tiny_data.as_of(day)
    last = seen.indicators["observed_on"].idxmax()
    changed = replace(seen, indicators=seen.indicators.drop(index=last))
    assert changed.digest != seen.digest
    with pytest.raises(AssertionError):
        xr.testing.assert_equal(build_design(seen, default_spec), build_design(changed, default_spec))


def test_readings_before_the_first_are_missing(real_data):
    moments = pd.DataFrame({"country": ["GEO", "GEO"], "known": pd.to_datetime(["1900-01-01", "2000-01-01"])})
    value, sd = read_indicator(real_data, "economic_hardship", moments)
    assert np.isnan(value[0])
    assert np.isnan(sd[0])
    assert 0 <= value[1] <= 1
    assert sd[1] > 0
