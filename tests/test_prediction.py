"""Forecasts from the small posterior: coherence, seeds, settings, paths, and what lies outside the data."""

import csv
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecast.errors import UsageError
from forecast.explanation import SOURCES_OF_SPREAD, base_rates, drivers, spread_shares
from forecast.prediction import (
    Question,
    answer,
    ask,
    look_ahead,
    month_ends,
    predict,
    prepare,
    respond,
    respond_each,
    summarise,
    thinned,
    volatility,
)
from forecast.schema import OUTCOMES
from forecast.study import REPOSITORY

YEAR = 365.25


def held_as(probability):
    return probability.to_numpy()


@pytest.mark.parametrize("country", ["GEO", "KGZ", "EST"])
@pytest.mark.parametrize("paths", ["walk", "hold"])
def test_every_draw_of_every_month_adds_to_one(tiny_fit, tiny_data, country, paths):
    forecast = predict(tiny_fit, tiny_data, country, 12, paths=paths)
    assert forecast.probability.dims == ("chain", "draw", "month", "outcome")
    assert forecast.probability.shape == (2, 200, 12, 5)
    values = held_as(forecast.probability)
    np.testing.assert_allclose(values.sum(axis=-1), 1.0, atol=1e-9)
    assert values.min() >= 0
    assert (held_as(forecast.attempt) <= 1 + 1e-12).all()
    assert (values[..., 0] <= held_as(forecast.attempt)[..., 0] + 1e-9).all()
    assert (values[..., 1] <= held_as(forecast.attempt)[..., 1] + 1e-9).all()
    assert (np.diff(values[..., :3], axis=2) >= -1e-12).all()
    assert values.std() > 0


def test_the_same_seed_gives_the_same_bits(tiny_fit, tiny_data):
    one, two = (predict(tiny_fit, tiny_data, "KGZ", 8, seed=3) for _ in range(2))
    assert one.probability.to_numpy().tobytes() == two.probability.to_numpy().tobytes()
    assert one.attempt.to_numpy().tobytes() == two.attempt.to_numpy().tobytes()
    other = predict(tiny_fit, tiny_data, "KGZ", 8, seed=4)
    assert not np.array_equal(one.probability, other.probability)


def test_held_paths_need_no_seed(tiny_fit, tiny_data):
    """With every indicator held, and every level known to the fit, nothing is left to draw."""
    one, two = (predict(tiny_fit, tiny_data, "KGZ", 8, paths="hold", seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(one.probability, two.probability)


def test_walking_paths_move_the_draws_and_not_the_first_reading(tiny_fit, tiny_data):
    hold, walk = (predict(tiny_fit, tiny_data, "KGZ", 24, paths=paths) for paths in ("hold", "walk"))
    apart = np.abs(held_as(hold.probability) - held_as(walk.probability)).mean(axis=(0, 1, 3))
    assert apart[0] > 0
    assert apart[-1] > 3 * apart[0]


def test_a_setting_at_the_present_value_changes_nothing_else(tiny_fit, tiny_data):
    """Georgia fights no war, so its war balance is 0 without doubt; to set it to 0 is to say what is known."""
    plain, same = (predict(tiny_fit, tiny_data, "GEO", 12, settings) for settings in (None, {"war_balance": 0.0}))
    np.testing.assert_array_equal(plain.probability, same.probability)
    other = predict(tiny_fit, tiny_data, "GEO", 12, {"war_balance": -1.0})
    assert np.abs(held_as(other.probability) - held_as(plain.probability)).max() > 0.001


def test_a_setting_takes_the_doubt_of_its_coding_and_path_away(tiny_fit, tiny_data):
    """Held at its latest value, an indicator adds no spread; the other paths are the same draws as without it."""
    question = ask(tiny_data, "KGZ", 12)
    outlook = look_ahead(tiny_fit, tiny_data, question)
    names = list(tiny_fit.design.indexes["indicator"])
    place, scaling = names.index("repression"), tiny_fit.design.sel(indicator="repression")
    latest = float(outlook.centre[0, place] * scaling["scale"] + scaling["location"])
    still = replace(outlook, spread=outlook.spread.copy(), step=outlook.step.copy())
    still.spread[:, place] = still.step[place] = 0.0
    without = answer(tiny_fit, still, question)
    with_setting = predict(tiny_fit, tiny_data, "KGZ", 12, {"repression": latest})
    np.testing.assert_allclose(with_setting.probability, without.probability, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repression": 1.01}, "outside its range 0 to 1"),
        ({"war_balance": -1.5}, "outside its range -1 to 1"),
        ({"repression": float("nan")}, "outside its range"),
        ({"misery": 0.5}, "misery cannot be set; choose from war_balance"),
        ({"tenure": 0.5}, "tenure cannot be set"),
        ({"one": 1.0}, "one cannot be set"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tiny_fit, tiny_data, settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        predict(tiny_fit, tiny_data, "KGZ", 12, settings)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("horizon", [0, -3, 121])
def test_horizons_out_of_range_are_refused(tiny_fit, tiny_data, horizon):
    with pytest.raises(UsageError, match="1 to 120"):
        predict(tiny_fit, tiny_data, "KGZ", horizon)


def test_a_country_outside_the_data_is_refused(tiny_fit, tiny_data):
    with pytest.raises(UsageError, match=r"'RUS' is not in the data.*EST, GEO, KGZ"):
        predict(tiny_fit, tiny_data, "RUS", 12)


def test_other_data_than_those_of_the_fit_are_refused(tiny_fit, tiny_data, real_data):
    with pytest.raises(UsageError, match="other data"):
        predict(tiny_fit, real_data, "KGZ", 12)
    with pytest.raises(UsageError, match="other data"):
        predict(tiny_fit, tiny_data.as_of("2020-01-01"), "KGZ", 12)


def test_the_horizon_ends_on_the_same_day_of_the_month(tiny_data):
    question = ask(tiny_data, "KGZ", 14)
    assert question.end == date(2026, 2, 28)
    ends = month_ends(question.as_of, 14)
    assert [str(day.date()) for day in ends[:2]] == ["2025-01-31", "2025-02-28"]
    assert (question.leader, question.name, question.group) == ("Sadyr Japarov", "Kyrgyzstan", "central_asia")


# --- levels that the fit has not seen


def spread(forecast):
    """Width of the middle 90% of the log odds of removal by an uprising."""
    end = np.clip(forecast.probability.isel(month=-1).sel(outcome="revolution").to_numpy().ravel(), 1e-12, 1 - 1e-12)
    low, high = np.quantile(np.log(end / (1 - end)), [0.05, 0.95])
    return high - low


def test_a_new_country_or_group_is_drawn_from_its_population(tiny_fit, tiny_data):
    """The same readings under a name that the fit does not know: the same middle, and more doubt."""
    question = ask(tiny_data, "KGZ", 12, paths="hold")
    outlook = look_ahead(tiny_fit, tiny_data, question)
    known = answer(tiny_fit, outlook, question)
    new_country = answer(tiny_fit, outlook, replace(question, country="XXX"))
    new_group = answer(tiny_fit, outlook, replace(question, country="XXX", group="atlantis"))
    for forecast in (new_country, new_group):
        np.testing.assert_allclose(forecast.probability.sum("outcome"), 1.0, atol=1e-9)
        assert not np.array_equal(forecast.probability, known.probability)
    assert spread(new_group) > spread(known)
    again = answer(tiny_fit, outlook, replace(question, country="XXX", group="atlantis"))
    np.testing.assert_array_equal(new_group.probability, again.probability)


def test_an_unseen_group_has_the_spread_of_the_population(tiny_fit, tiny_data):
    """Log rates of the new group scatter around the baseline with the draws' own group and country spreads."""
    question = ask(tiny_data, "KGZ", 1, paths="hold")
    outlook = look_ahead(tiny_fit, tiny_data, question)
    flat = replace(outlook, centre=outlook.centre * 0, spread=outlook.spread * 0)
    posterior = tiny_fit.posterior.copy()
    posterior["group_effect_sd"] = posterior["group_effect_sd"] * 0 + 2.0
    posterior["country_effect_sd"] = posterior["country_effect_sd"] * 0 + 1.5
    posterior["baseline"] = posterior["baseline"] * 0 - 3.0
    posterior["period_effect"] = posterior["period_effect"] * 0
    widened = replace(tiny_fit, posterior=posterior)
    forecast = answer(widened, flat, replace(question, country="XXX", group="atlantis"))
    attempts = forecast.attempt.isel(month=0).to_numpy()  # over one month, nearly rate / 12
    log_rate = np.log(-np.log1p(-attempts) * 12)
    assert log_rate.std() == pytest.approx(2.5, rel=0.12)  # sqrt(2.0 ** 2 + 1.5 ** 2)
    assert np.median(log_rate) == pytest.approx(-3.0, abs=0.4)


def test_a_new_period_goes_on_with_the_random_walk(tiny_fit, tiny_data):
    """Months beyond the last decade of the data have more doubt than those of the last decade, and only those."""
    question = ask(tiny_data, "KGZ", 120, paths="hold")
    outlook = look_ahead(tiny_fit, tiny_data, question)
    assert list(np.unique(outlook.periods)) == [2020, 2030]
    posterior = tiny_fit.posterior.copy()
    posterior["period_effect_sd"] = posterior["period_effect_sd"] * 0 + 3.0
    jumpy = answer(replace(tiny_fit, posterior=posterior), outlook, question)
    calm = answer(tiny_fit, outlook, question)
    apart = np.abs(held_as(jumpy.probability) - held_as(calm.probability)).max(axis=(0, 1, 3))
    new = outlook.periods == 2030
    assert (apart[~new] == 0).all()
    assert (apart[new][1:] > 0.01).all()


# --- challenges under way


def test_whoever_is_challenged_today_does_not_survive_unchallenged(tiny_fit, tiny_data):
    question = ask(tiny_data, "GEO", 6)
    assert look_ahead(tiny_fit, tiny_data, question).ongoing.kind == (1,)
    days = (date(2024, 12, 31) - date(2024, 10, 28)).days + 1.0
    assert look_ahead(tiny_fit, tiny_data, question).ongoing.days == (days,)
    forecast = predict(tiny_fit, tiny_data, "GEO", 6)
    assert (forecast.probability.sel(outcome="survives_unchallenged") == 0).all()
    assert (forecast.attempt.sel(kind="uprising") == 1).all()
    assert (forecast.probability.sel(outcome="revolution").isel(month=0) > 0).all()
    calm = predict(tiny_fit, tiny_data, "EST", 6)
    assert (calm.probability.sel(outcome="survives_unchallenged") > 0).all()


# --- explanation


@pytest.mark.parametrize("country", ["GEO", "KGZ"])
def test_shares_of_the_spread_add_to_one(tiny_fit, tiny_data, country):
    table = spread_shares(tiny_fit, tiny_data, ask(tiny_data, country, 12))
    assert list(table.columns) == list(SOURCES_OF_SPREAD)
    assert list(table.index) == list(OUTCOMES)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert (table.to_numpy() >= 0).all()
    assert table.loc["revolution", "parameters"] > 0.05


def test_held_paths_have_no_share(tiny_fit, tiny_data):
    table = spread_shares(tiny_fit, tiny_data, ask(tiny_data, "KGZ", 12, paths="hold"))
    assert (table["paths"] == 0).all()


def test_thinning_keeps_draws_of_the_posterior(tiny_fit):
    small = thinned(tiny_fit, draws=100)
    assert small.posterior.sizes["chain"] * small.posterior.sizes["draw"] == 100
    np.testing.assert_array_equal(small.posterior["baseline"], tiny_fit.posterior["baseline"][:, ::4])
    assert thinned(tiny_fit, draws=399).posterior.sizes["draw"] == 100  # at most so many


def test_drivers_are_differences_to_the_average(tiny_fit, tiny_data):
    question = ask(tiny_data, "KGZ", 12)
    table = drivers(tiny_fit, tiny_data, question)
    assert set(table.index) == set(tiny_fit.spec.indicators) - {"tenure", "recent_challenge"}
    size = table[["coup", "revolution"]].abs().sum(axis=1).to_numpy()
    assert (np.diff(size) <= 1e-15).all()

    name = "mobilisation_capacity"
    average = float(tiny_fit.design["location"].sel(indicator=name))
    hold, moved = (summarise(predict(tiny_fit, tiny_data, "KGZ", 12, settings, "hold")) for settings in (None, {name: average}))  # fmt: skip
    assert table.loc[name, "average"] == pytest.approx(average)
    for outcome in ("coup", "revolution"):
        assert table.loc[name, outcome] == pytest.approx(hold.loc[outcome, "probability"] - moved.loc[outcome, "probability"])  # fmt: skip


def test_a_setting_is_no_driver(tiny_fit, tiny_data):
    table = drivers(tiny_fit, tiny_data, ask(tiny_data, "KGZ", 6, {"repression": 0.9}))
    assert "repression" not in table.index


def test_base_rates_count_the_leader_table(tiny_fit, tiny_data):
    table = base_rates(tiny_data, tiny_fit.design, "central_asia")
    with (REPOSITORY / "data" / "leaders.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["country"] in {"GEO", "KGZ", "EST"}]
    rows = [row for row in rows if row["start"] > "1991"]  # the census, which alone is fitted

    def days(some):
        end = date(2025, 1, 1)
        return sum(((date.fromisoformat(r["end"]) if r["end"] else end) - date.fromisoformat(r["start"])).days for r in some)  # fmt: skip

    for name, some in (
        ("all leaders", rows),
        ("central asia", [row for row in rows if row["country"] == "KGZ"]),
    ):
        assert table.loc[name, "coups"] == sum(row["exit"] == "coup" for row in some)
        assert table.loc[name, "revolutions"] == sum(row["exit"] == "revolution" for row in some)
        assert table.loc[name, "leader-years"] == pytest.approx(days(some) / YEAR)
    assert table.loc["central asia", "revolutions"] == 3
    war = table.loc["leaders at war"]
    assert 0 < war["leader-years"] < table.loc["all leaders", "leader-years"]


def test_base_rates_of_the_whole_study(real_data, default_spec):
    from forecast.design import build_design

    spec = default_spec.model_copy(update={"frames": ()})
    table = base_rates(real_data, build_design(real_data, spec), "caucasus")
    leaders = pd.read_csv(REPOSITORY / "data" / "leaders.csv")
    everyone = table.loc["all leaders"]
    assert everyone["coups"] == (leaders["exit"] == "coup").sum()
    assert everyone["revolutions"] == (leaders["exit"] == "revolution").sum()
    caucasus = leaders[leaders["country"].isin(["ARM", "AZE", "GEO"])]
    assert table.loc["caucasus", "coups"] == (caucasus["exit"] == "coup").sum()
    assert table.loc["caucasus", "revolutions"] == (caucasus["exit"] == "revolution").sum()


# --- volatility, by hand


def ledger(rows):
    columns = ["country", "indicator", "observed_on", "value", "coder"]
    made = pd.DataFrame(rows, columns=columns)
    return made.assign(observed_on=pd.to_datetime(made["observed_on"]).astype("datetime64[s]"))


def test_volatility_is_the_root_of_squared_moves_over_years(tiny_data):
    rows = [
        ("GEO", "repression", "2001-01-01", 0.2, "A"),
        ("GEO", "repression", "2002-01-01", 0.5, "A"),  # 0.3 in 365 days
        ("GEO", "repression", "2004-01-01", 0.4, "A"),  # -0.1 in 730 days
        ("GEO", "repression", "2002-06-01", 0.9, "B"),  # another coder: a single reading, no move
        ("EST", "repression", "2001-01-01", 0.7, "A"),
        ("EST", "repression", "2001-07-02", 0.7, "A"),  # nothing in 182 days
        ("EST", "sanctions", "2001-07-02", 0.9, "A"),
    ]
    data = replace(tiny_data, indicators=ledger(rows))
    years = (365 + 730 + 182) / YEAR
    assert volatility(data, "repression") == pytest.approx(np.sqrt((0.09 + 0.01) / years))
    assert volatility(data, "sanctions") == 0.0
    assert volatility(data, "tenure") == 0.0
    assert volatility(data, "one") == 0.0


def test_volatility_of_war_counts_only_moves_during_one(tiny_data):
    rows = [
        ("GEO", "war_balance", "2000-01-01", 0.0, "A"),
        ("GEO", "war_balance", "2008-08-08", -0.5, "A"),  # the war begins: not a move of one that goes on
        ("GEO", "war_balance", "2008-08-18", -0.9, "A"),  # -0.4 in 10 days
        ("GEO", "war_balance", "2008-10-17", 0.0, "A"),  # it ends after 60 days
        ("GEO", "war_balance", "2020-10-17", 0.0, "A"),
    ]
    data = replace(tiny_data, indicators=ledger(rows))
    assert volatility(data, "war_balance") == pytest.approx(np.sqrt((0.16 + 0.81) / (70 / YEAR)))


def test_what_does_not_exist_does_not_begin(tiny_fit, tiny_data):
    """No war today, none on the paths; what exists moves by its volatility over a twelfth of a year."""
    outlook = look_ahead(tiny_fit, tiny_data, ask(tiny_data, "EST", 6))
    names = list(tiny_fit.design.indexes["indicator"])
    step = dict(zip(names, outlook.step * tiny_fit.design["scale"].to_numpy(), strict=True))
    for name in ("war_balance", "war_burden", "war_support", "tenure", "recent_challenge", "one"):
        assert step[name] == 0.0
    for name in ("repression", "sanctions"):  # Estonia is under a food embargo
        assert step[name] == pytest.approx(volatility(tiny_data, name) / np.sqrt(12))
        assert step[name] > 0
    lifted = tiny_data.indicators.query("country == 'EST' and indicator == 'sanctions'").tail(1)
    lifted = lifted.assign(value=0.0, low=0.0, high=0.0, observed_on=pd.Timestamp("2024-12-01"))
    free = replace(tiny_data, indicators=pd.concat([tiny_data.indicators, lifted], ignore_index=True))
    assert look_ahead(tiny_fit, free, ask(free, "EST", 6)).step[names.index("sanctions")] == 0.0


def test_paths_stay_in_the_range_of_the_codebook(tiny_fit, tiny_data):
    """With moves ten times as large as they have been, no indicator leaves its scale on a path."""
    from forecast.prediction import indicator_paths

    question = ask(tiny_data, "KGZ", 60)
    outlook = look_ahead(tiny_fit, tiny_data, question)
    wild = replace(outlook, step=outlook.step * 10)
    parts = prepare(tiny_fit, outlook, question)
    x = indicator_paths(tiny_fit, wild, question, parts, coding=False)
    walking = outlook.step > 0
    assert (x[..., walking] >= outlook.low[walking] - 1e-12).all()
    assert (x[..., walking] <= outlook.high[walking] + 1e-12).all()
    assert (x[..., walking] == outlook.high[walking]).any()


def test_questions_are_values():
    question = Question("KGZ", "K", "J", "KGZ-2020-japarov", "central_asia", date(2024, 12, 31), 12, {})
    assert question.paths == "walk"
    with pytest.raises(AttributeError):
        question.horizon = 13


@pytest.mark.parametrize("paths", ["walk", "hold"])
def test_many_scenarios_are_answered_as_each_alone(tiny_fit, tiny_data, paths):
    """With and without a challenge under way, and with an indicator that also stands in products."""
    for country in ("KGZ", "GEO"):
        question = ask(tiny_data, country, 9, {"repression": 0.3}, paths)
        outlook = look_ahead(tiny_fit, tiny_data, question)
        parts = prepare(tiny_fit, outlook, question)
        cases = [("sanctions", 0.5), ("economic_hardship", 0.9), ("mobilisation_capacity", 0.1)]
        found = respond_each(tiny_fit, parts, outlook, question, cases)
        for draws, (name, value) in zip(found, cases, strict=True):
            alone = respond(tiny_fit, parts, outlook, replace(question, settings={**question.settings, name: value}))
            end = alone.probability.isel(month=-1).to_numpy().reshape(draws.shape)
            np.testing.assert_allclose(draws, end, atol=1e-12)
        assert respond_each(tiny_fit, parts, outlook, question, []).shape == (0, *found.shape[1:])
