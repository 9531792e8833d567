"""Cumulative incidence: coherence at any rates, numbers by hand, and a simulation of the same process."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from forecast.design import YEAR
from forecast.incidence import Length, Ongoing, incidence
from forecast.schema import OUTCOMES

MONTH = 1 / 12
COUP, REVOLUTION, OTHER, CHALLENGED, QUIET = range(len(OUTCOMES))

rates = st.floats(-12.0, 5.0).map(math.exp)  # from never to a few times a week
extreme_rates = st.floats(-300.0, 7.0).map(math.exp)
chances = st.floats(0.0, 1.0)


@st.composite
def processes(draw, rate=rates, chance=chances):
    """Return a process of one draw over some months, with any challenges under way."""
    months = draw(st.integers(1, 18))
    table = draw(st.lists(st.tuples(rate, rate, rate), min_size=months, max_size=months))
    success = draw(st.lists(st.tuples(chance, chance), min_size=months, max_size=months))
    pair = st.tuples(st.floats(-1.0, 6.0), st.floats(-1.0, 6.0))
    length = Length(
        mean=np.array([draw(pair)]),
        shift=np.array([draw(st.tuples(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0)))]),
        sd=np.array([draw(st.tuples(st.floats(0.2, 3.0), st.floats(0.2, 3.0)))]),
    )
    under_way = draw(st.lists(st.tuples(st.sampled_from((0, 1)), st.floats(1.0, 3000.0)), max_size=3))
    ongoing = Ongoing(tuple(kind for kind, _ in under_way), tuple(days for _, days in under_way))
    years = np.array(draw(st.lists(st.sampled_from((28, 30, 31)), min_size=months, max_size=months))) / YEAR
    return np.array([table]), np.array([success]), length, ongoing, years


def check_coherent(process):
    rate, success, length, ongoing, years = process
    probability, attempt = incidence(rate, success, length, ongoing, years)
    assert np.isfinite(probability).all()
    assert np.isfinite(attempt).all()
    np.testing.assert_allclose(probability.sum(axis=-1), 1.0, atol=1e-9)
    assert probability.min() >= 0.0
    assert probability.max() <= 1.0 + 1e-12
    assert attempt.min() >= 0.0
    assert attempt.max() <= 1.0 + 1e-12
    assert (probability[..., COUP] <= attempt[..., 0] + 1e-9).all()
    assert (probability[..., REVOLUTION] <= attempt[..., 1] + 1e-9).all()
    for outcome in (COUP, REVOLUTION, OTHER):
        assert (np.diff(probability[..., outcome], axis=1) >= -1e-12).all()
    assert (np.diff(probability[..., QUIET], axis=1) <= 1e-12).all()
    assert (np.diff(attempt, axis=1) >= -1e-12).all()
    if ongoing.kind:
        assert (probability[..., QUIET] == 0).all()
        assert (attempt[..., list(ongoing.kind)] == 1).all()


@given(processes())
@settings(max_examples=150, deadline=None)
def test_outcomes_are_coherent(process):
    check_coherent(process)


@given(processes(rate=extreme_rates, chance=st.one_of(chances, st.sampled_from((0.0, 1.0, 1e-300)))))
@settings(max_examples=150, deadline=None)
def test_outcomes_are_coherent_at_extreme_rates(process):
    check_coherent(process)


@given(processes())
@settings(max_examples=60, deadline=None)
def test_draws_do_not_see_each_other(process):
    rate, success, length, ongoing, years = process
    other = incidence(rate * 1.7, success * 0.5, length, ongoing, years)[0][0]
    both = Length(*(np.repeat(part, 2, axis=0) for part in (length.mean, length.shift, length.sd)))
    rate, success = np.concatenate([rate, rate * 1.7]), np.concatenate([success, success * 0.5])
    together = incidence(rate, success, both, ongoing, years)[0]
    np.testing.assert_allclose(together[1], other, atol=1e-12)


def constant(rate, success, months, days=(1.0, 1.0), sd=1e-3):
    """Return a process with constant rates whose challenges all last the same number of days."""
    length = Length(np.log(np.array([days]) + 1.0), np.zeros((1, 2)), np.full((1, 2), sd))
    return (
        np.tile(rate, (1, months, 1)).astype(float),
        np.tile(success, (1, months, 1)).astype(float),
        length,
        Ongoing((), ()),
        np.full(months, MONTH),
    )


def test_constant_rates_by_hand():
    """Challenges of a day: removal by coup is the share of its rate in all ways to leave, times P(left)."""
    rate, success = np.array([0.2, 0.5, 0.4]), np.array([0.5, 0.2])
    probability, attempt = incidence(*constant(rate, success, 12))
    leaving = 0.2 * 0.5 + 0.5 * 0.2 + 0.4
    left = 1 - math.exp(-leaving)
    expected = {
        COUP: 0.1 / leaving * left,
        REVOLUTION: 0.1 / leaving * left,
        OTHER: 0.4 / leaving * left,
        QUIET: math.exp(-1.1),
    }
    expected[CHALLENGED] = 1 - sum(expected.values())
    np.testing.assert_allclose(probability[0, -1], [expected[place] for place in range(5)], atol=1e-12)
    # An attempt of any result ends the wait for it; the leader may go in the other ways before.
    coups = 0.2 / (0.2 + 0.1 + 0.4) * (1 - math.exp(-0.7))
    uprisings = 0.5 / (0.5 + 0.1 + 0.4) * (1 - math.exp(-1.0))
    np.testing.assert_allclose(attempt[0, -1], [coups, uprisings], atol=1e-12)


def test_a_challenge_takes_effect_after_its_length():
    """With lengths of 70 days, what begins in the middle of month 1 removes the leader in month 3."""
    probability, _ = incidence(*constant([0.0, 1.2, 1e-12], [0.0, 1.0], 4, days=(1.0, 70.0)))
    begun = 1 - np.exp(-1.2 * MONTH * np.arange(1, 5))
    np.testing.assert_allclose(probability[0, :, REVOLUTION], [0.0, 0.0, begun[0], begun[1]], atol=1e-9)
    np.testing.assert_allclose(probability[0, :, CHALLENGED], [begun[0], begun[1], begun[2] - begun[0], begun[3] - begun[1]], atol=1e-9)  # fmt: skip


def test_a_challenge_under_way_by_hand():
    """One uprising of 99 days, nothing else can happen: Bayes' rule for its result, then the tail of its length."""
    rate, success, _, _, years = constant([1e-12, 1e-12, 1e-12], [0.5, 0.3], 6)
    mean, shift, sd = math.log(50.0), -1.0, 1.2
    length = Length(np.array([[0.0, mean]]), np.array([[0.0, shift]]), np.array([[1.0, sd]]))
    probability, attempt = incidence(rate, success, length, Ongoing((1,), (99.0,)), years)

    def lasts(days, removes):
        return 1 - ndtr((math.log(days + 1) - mean - shift * removes) / sd)

    chance = 0.3 * lasts(99, 1) / (0.3 * lasts(99, 1) + 0.7 * lasts(99, 0))
    ends = 99 + YEAR * MONTH * np.arange(1, 7)
    removed = [chance * (1 - lasts(day, 1) / lasts(99, 1)) for day in ends]
    assert chance < 0.3  # quick removals, so that having lasted speaks against one
    np.testing.assert_allclose(probability[0, :, REVOLUTION], removed, atol=1e-10)
    np.testing.assert_allclose(probability[0, :, CHALLENGED], 1 - np.array(removed), atol=1e-10)
    assert (probability[0, :, QUIET] == 0).all()
    assert (attempt[0, :, 1] == 1).all()


def simulate(rate, success, length, ongoing, years, worlds, rng):
    """Return the outcome in each world by each month, by drawing every event; one posterior draw."""
    ends = np.cumsum(years) * YEAR
    mean, shift, sd = length.mean[0], length.shift[0], length.sd[0]
    counts = rng.poisson(rate[0] * years[:, None], size=(worlds, len(years), 3))
    outcome = np.empty((worlds, len(years)), dtype=int)
    begun = np.full((worlds, 2), np.inf)

    def days(kind, removes):
        return np.exp(rng.normal(mean[kind] + shift[kind] * removes, sd[kind])) - 1

    for world in range(worlds):
        gone, how = np.inf, None
        for kind, age in zip(ongoing.kind, ongoing.days, strict=True):
            lasted = -1.0
            while lasted <= age:  # a challenge of the present lasts longer than it has lasted
                removes = rng.random() < success[0, 0, kind]
                lasted = days(kind, removes)
            if removes and how is None:
                gone, how = lasted - age, kind
        for month in np.flatnonzero(counts[world].any(axis=1)) if how is None else ():
            middle = ends[month] - years[month] * YEAR / 2  # what begins in a month begins in its middle
            for cause in rng.permutation(np.repeat([0, 1, 2], counts[world, month])):
                if cause == OTHER:
                    gone, how = middle, OTHER
                    break
                begun[world, cause] = min(begun[world, cause], middle)
                if rng.random() < success[0, month, cause]:
                    gone, how = middle + max(days(cause, True), 0.0), cause
                    break
            if how is not None:
                break
        first = 0.0 if ongoing.kind else begun[world].min()
        for month, end in enumerate(ends):
            outcome[world, month] = how if gone <= end else CHALLENGED if first <= end else QUIET
    return outcome, begun[:, None, :] <= ends[:, None]


LENGTH = Length(np.array([[0.7, 4.1]]), np.array([[-0.5, 0.6]]), np.array([[0.9, 1.1]]))
PROCESSES = {
    "calm": ((0.3, 0.8, 0.4), (0.5, 0.3), Ongoing((), ())),
    "stormy": ((2.0, 4.0, 1.5), (0.4, 0.2), Ongoing((), ())),
    "both kinds under way": ((0.8, 1.5, 0.7), (0.5, 0.4), Ongoing((1, 0), (40.0, 3.0))),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_agrees_with_a_simulation_of_the_process(name):
    rates, chances, ongoing = PROCESSES[name]
    months, worlds = 10, 60_000
    trend = np.linspace(0.6, 1.4, months)[:, None]
    rate, success = (np.array(rates) * trend)[None], np.tile(chances, (1, months, 1))
    years = np.full(months, MONTH)
    probability, attempt = incidence(rate, success, LENGTH, ongoing, years)
    outcome, attempted = simulate(rate, success, LENGTH, ongoing, years, worlds, np.random.default_rng(7))
    share = np.stack([(outcome == place).mean(axis=0) for place in range(5)], axis=-1)
    error = np.sqrt(probability[0] * (1 - probability[0]) / worlds)
    assert (np.abs(share - probability[0]) <= 4.5 * error + 1e-9).all()
    if not ongoing.kind:
        error = np.sqrt(attempt[0] * (1 - attempt[0]) / worlds)
        assert (np.abs(attempted.mean(axis=0) - attempt[0]) <= 4.5 * error + 1e-9).all()
