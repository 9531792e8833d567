"""Scores against numbers worked out by hand, and against scoringrules and scikit-learn."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import scores

RNG = np.random.default_rng(1)
P = np.round(RNG.beta(0.5, 8, size=400), 2)  # rounded, so that there are ties
HAPPENED = (RNG.random(400) < P).astype(int)


def test_log_score_by_hand():
    assert scores.log_score([0.2, 0.9, 0.5], [1, 1, 0]) == pytest.approx([math.log(5), -math.log(0.9), math.log(2)])


def test_the_clipping_rule():
    at_most = -math.log(1e-4)
    assert scores.log_score([0.0, 1e-9, 1.0], [1, 1, 0]) == pytest.approx([at_most] * 3)
    assert scores.log_score([0.0, 1.0], [0, 1]) == pytest.approx([-math.log(1 - 1e-4)] * 2)
    assert scores.log_score([2e-4], [1]) == pytest.approx([-math.log(2e-4)])


def test_brier_by_hand():
    assert scores.brier_score([0.2, 0.9], [1, 0]) == pytest.approx([0.64, 0.81])


def test_ranked_probability_by_hand():
    # cumulative .2 .7 1 against 0 1 1: .04 + .09 + 0
    assert scores.ranked_probability_score([[0.2, 0.5, 0.3]], [1]) == pytest.approx([0.13])
    # two categories: the Brier score
    assert scores.ranked_probability_score([[0.8, 0.2]], [1]) == pytest.approx(scores.brier_score([0.2], [1]))


@pytest.mark.filterwarnings("ignore")
def test_against_scoringrules():
    import scoringrules as sr

    inside = np.clip(P, 0.01, 0.99)
    assert scores.log_score(inside, HAPPENED) == pytest.approx(sr.log_score(HAPPENED, inside))
    assert scores.brier_score(P, HAPPENED) == pytest.approx(sr.brier_score(HAPPENED, P))
    three = RNG.dirichlet([1, 2, 3], size=50)
    category = RNG.integers(0, 3, size=50)
    assert scores.ranked_probability_score(three, category) == pytest.approx(sr.rps_score(category + 1, three))


def test_discrimination_against_sklearn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    weight = RNG.integers(0, 4, size=len(P))
    assert scores.area_under_curve(P, HAPPENED) == pytest.approx(roc_auc_score(HAPPENED, P))
    assert scores.area_under_curve(P, HAPPENED, weight) == pytest.approx(
        roc_auc_score(HAPPENED, P, sample_weight=weight)
    )
    assert scores.average_precision(P, HAPPENED) == pytest.approx(average_precision_score(HAPPENED, P))
    assert scores.average_precision(P, HAPPENED, weight) == pytest.approx(
        average_precision_score(HAPPENED, P, sample_weight=weight)
    )


def test_discrimination_without_events_is_not_a_number():
    assert math.isnan(scores.area_under_curve([0.1, 0.2], [0, 0]))
    assert math.isnan(scores.area_under_curve([0.1, 0.2], [1, 1]))
    assert math.isnan(scores.average_precision([0.1, 0.2], [0, 0]))


def test_calibration_against_sklearn():
    from sklearn.isotonic import IsotonicRegression

    assert scores.calibrate(P, HAPPENED) == pytest.approx(IsotonicRegression().fit(P, HAPPENED).predict(P))


def test_equal_forecasts_have_equal_frequencies():
    assert scores.calibrate([0.2, 0.2, 0.1], [0, 1, 1]).tolist() == pytest.approx([2 / 3] * 3)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9]), st.integers(0, 1)), min_size=2, max_size=30),
    st.sampled_from([scores.brier_score, scores.log_score]),
)
def test_the_parts_of_a_score_add_up(rows, score):
    p, o = (np.array(column) for column in zip(*rows, strict=True))
    parts = scores.decompose(p, o, score)
    total = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
    assert total == pytest.approx(score(p, o).mean())
    assert min(parts.values()) >= -1e-4  # the log score's clip may cost a recalibrated 0 or 1 as much


def test_calibrated_forecasts_lie_in_their_band_and_doubled_ones_do_not():
    p = np.repeat(np.linspace(0.02, 0.4, 20), 200)
    happened = np.random.default_rng(2).random(len(p)) < p
    good = scores.draw_calibration(p, happened, draws=200)
    bad = scores.draw_calibration(np.minimum(2 * p, 1), happened, draws=200)
    assert ((good["low"] <= good["frequency"]) & (good["frequency"] <= good["high"])).mean() > 0.75
    assert ((bad["low"] <= bad["frequency"]) & (bad["frequency"] <= bad["high"])).mean() < 0.1
    assert good["count"].sum() == len(p)


def test_separation_keeps_every_row():
    table = scores.separate([0.3, 0.1, 0.2], [1, 0, 0])
    assert table["probability"].tolist() == [0.1, 0.2, 0.3]
    assert table["happened"].tolist() == [0, 0, 1]
    assert table["expected"].tolist() == pytest.approx([0.1, 0.3, 0.6])


def test_counts_by_hand():
    table = pd.DataFrame({"model": ["a", "b", "a"], "probability": [0.5, 0.1, 0.25], "observed": [1, 0, 0]})
    counts = scores.count_events(table, ["model"])
    assert counts.to_dict("list") == {"model": ["a", "b"], "rows": [2, 1], "expected": [0.75, 0.1], "observed": [1, 0]}


def test_bootstrap_draws_whole_countries():
    countries = np.array(["A", "B", "A", "C"])
    weight = scores.resample_countries(countries, draws=4000, seed=3)
    assert (weight[:, 0] == weight[:, 2]).all()
    assert ((weight[:, 0] + weight[:, 1] + weight[:, 3]) == 3).all()
    assert weight.mean(axis=0) == pytest.approx(np.ones(4), abs=0.05)
    # the mean loss of samples by hand: A twice and B once is (2 x (1 + 3) + 5) / 5
    assert scores.mean_over(np.array([[2.0, 1.0, 2.0, 0.0]]), [1.0, 5.0, 3.0, 9.0]) == pytest.approx([2.6])


def test_interval_covers_the_truth_as_often_as_it_says():
    """A country's years are alike, so an interval from resampled rows would be too short."""
    hits, short, rounds = 0, 0, 200
    rng = np.random.default_rng(4)
    for seed in range(rounds):
        countries = np.repeat(np.arange(60), 10)
        loss = rng.normal(size=60)[countries] + 0.3 * rng.normal(size=600)
        low, high = scores.interval(scores.mean_over(scores.resample_countries(countries, 400, seed), loss))
        hits += low <= 0 <= high
        row_low, row_high = scores.interval(scores.mean_over(scores.resample_countries(range(600), 400, seed), loss))
        short += row_low <= 0 <= row_high
    assert 0.83 <= hits / rounds <= 0.96
    assert short / rounds < 0.6


def test_interval_without_values():
    assert all(math.isnan(end) for end in scores.interval([np.nan, np.nan]))


def test_skill_by_hand():
    assert scores.skill(0.75, 1.0) == 0.25
    assert scores.skill(np.array([0.5, 2.0]), np.array([1.0, 1.0])).tolist() == [0.5, -1.0]
