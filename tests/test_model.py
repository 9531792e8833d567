"""The model: its formulas, small and empty designs, and what the priors imply."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor
import pytest

from forecast.design import build_design
from forecast.hazards import (
    build_stages,
    log_hazard,
    products,
    removal_probability,
    result_score,
    row_index,
    true_values,
    wire,
)
from forecast.model import build_model, log_pending_tails
from forecast.schema import CAUSES, KINDS
from forecast.spec import Effect

WAR = ["war_balance", "war_burden", "sanctions", "economic_hardship", "economic_hardship:elite_division", "tenure"]


@pytest.fixture(scope="module")
def small(real_data, restricted, default_spec):
    """Three countries, the terms that matter for wiring (slopes by group, a product, a computed one), few rows."""
    data = restricted(real_data, ["GEO", "EST", "TJK"]).as_of("2009-06-30")
    kept = tuple(effect for effect in default_spec.onset.effects if effect.term in WAR)
    spec = default_spec.model_copy(update={
        "onset": default_spec.onset.model_copy(update={"effects": kept}),
        "result": default_spec.result.model_copy(update={"effects": default_spec.result.effects[:2]}),
    })  # fmt: skip
    return build_design(data, spec), spec


def test_the_design_has_war_and_group_slopes(small):
    design, _ = small
    caucasus = (design["row_group"] == "caucasus").to_numpy()
    assert (design["centre"].sel(indicator="war_burden")[caucasus] > 0).any()
    assert (design["spread"].sel(indicator="war_balance")[caucasus] > 0).any()
    assert list(design["slope"].to_numpy()) == [
        "war_balance on coup", "war_balance on uprising",
        "sanctions on coup", "sanctions on uprising", "sanctions on other_exit",
    ]  # fmt: skip
    assert design["events"].sum() > 10


def draw_parameters(design, rng, draws=()):
    sizes = {name: design.sizes[name] for name in ("period", "group", "country", "effect", "result_effect", "slope")}

    def normal(*shape):
        return rng.normal(size=(*draws, *shape))

    return {
        "baseline": normal(3),
        "period_effect": normal(sizes["period"], 3),
        "group_effect": normal(sizes["group"], 3),
        "country_effect": normal(sizes["country"], 3),
        "beta": normal(sizes["effect"]),
        "group_slope": normal(sizes["group"], sizes["slope"]),
        "result_group_effect": normal(sizes["group"], 2),
        "result_beta": normal(sizes["result_effect"]),
    }


def test_numpy_and_pytensor_give_the_same_hazards(small):
    design, spec = small
    stages, index, rng = build_stages(design, spec), row_index(design), np.random.default_rng(13)
    parameters = draw_parameters(design, rng)
    error = rng.normal(size=(design.sizes["spell"], design.sizes["latent"]))
    x = true_values(design["centre"].to_numpy(), design["spread"].to_numpy(), error[index.spell], stages.latent)
    tensors = {name: pytensor.tensor.as_tensor_variable(value) for name, value in parameters.items()}
    symbolic = log_hazard(tensors, pytensor.tensor.as_tensor_variable(x), index, stages).eval(mode="FAST_COMPILE")
    np.testing.assert_allclose(log_hazard(parameters, x, index, stages), symbolic, rtol=1e-12, atol=1e-12)


def test_hazards_written_out_for_single_rows(small):
    """The formula of the docstring, one row and cause at a time, with labels in place of positions."""
    design, spec = small
    stages, index, rng = build_stages(design, spec), row_index(design), np.random.default_rng(14)
    parameters = draw_parameters(design, rng)
    x = rng.normal(size=(design.sizes["row"], design.sizes["indicator"]))
    x[:, -1] = 1.0  # the constant
    found = log_hazard(parameters, x, index, stages)
    names, effects, slopes = (list(design.indexes[level]) for level in ("indicator", "effect", "slope"))
    for row in rng.choice(design.sizes["row"], 25):
        at = {level: list(design.indexes[level]).index(design[f"row_{level}"].to_numpy()[row]) for level in ("group", "country", "period")}  # fmt: skip
        for column, cause in enumerate(CAUSES):
            total = parameters["baseline"][column]
            total += sum(parameters[f"{level}_effect"][at[level], column] for level in at)
            for effect in spec.onset.effects:
                if cause in effect.on:
                    label = f"{effect.term} on {cause}"
                    weight = parameters["beta"][effects.index(label)]
                    if label in slopes:
                        weight += parameters["group_slope"][at["group"], slopes.index(label)]
                    total += weight * np.prod([x[row, names.index(factor)] for factor in effect.factors])
            assert found[row, column] == pytest.approx(total, abs=1e-10)


def test_draws_are_leading_axes(small):
    design, spec = small
    stages, index = build_stages(design, spec), row_index(design)
    many = draw_parameters(design, np.random.default_rng(15), draws=(4,))
    x = np.random.default_rng(16).normal(size=(4, design.sizes["row"], design.sizes["indicator"]))
    together = log_hazard(many, x, index, stages)
    for draw in range(4):
        alone = log_hazard({name: value[draw] for name, value in many.items()}, x[draw], index, stages)
        np.testing.assert_allclose(together[draw], alone, atol=1e-12)


def test_products_of_terms():
    wiring = wire((Effect(term="a", on=("coup",)), Effect(term="a:b", on=("coup", "uprising"))), ["a", "b", "one"], CAUSES)  # fmt: skip
    np.testing.assert_array_equal(products(np.array([[2.0, 3.0, 1.0]]), wiring), [[2.0, 6.0, 6.0]])
    np.testing.assert_array_equal(wiring.target, [[1, 0, 0], [1, 0, 0], [0, 1, 0]])


def test_result_probabilities_are_those_of_the_ordered_logit(small):
    design, spec = small
    stages, rng = build_stages(design, spec), np.random.default_rng(17)
    parameters = draw_parameters(design, rng)
    group = rng.integers(design.sizes["group"], size=20)
    x = rng.normal(size=(20, design.sizes["indicator"]))
    score = result_score(parameters, x, group, stages)
    cutpoints = np.array([[-0.5, 0.3], [0.2, 1.7]])
    found = removal_probability(score, cutpoints)
    for kind in range(len(KINDS)):
        ordered = pm.OrderedLogistic.dist(score[:, kind], cutpoints[kind], compute_p=False)
        removed = np.exp(pm.logp(ordered, np.full(20, 2)).eval(mode="FAST_COMPILE"))
        np.testing.assert_allclose(found[:, kind], removed, rtol=1e-10)


def test_a_pending_challenge_is_a_mixture_of_two_tails():
    """P(lasts beyond) by simulation of the two kinds of length, weighted by P(removed)."""
    logit, days, mean, shift, sd = -0.4, np.log(60.0), 4.0, -0.7, 1.1
    removes, fails = (float(part.eval()) for part in log_pending_tails(*(pytensor.tensor.as_tensor_variable(value) for value in (logit, days, mean, shift, sd))))  # fmt: skip
    rng, worlds = np.random.default_rng(18), 400_000
    removed = rng.random(worlds) < 1 / (1 + np.exp(-logit))
    lasted = rng.normal(mean + shift * removed, sd) > days
    assert np.exp(removes) == pytest.approx((removed & lasted).mean(), abs=0.004)
    assert np.exp(fails) == pytest.approx((~removed & lasted).mean(), abs=0.004)


def finite_logp(model):
    return np.isfinite(model.compile_logp(mode="FAST_COMPILE")(model.initial_point()))


def test_a_spec_without_indicators_builds(tiny_data, baseline_spec):
    design = build_design(tiny_data, baseline_spec)
    assert design.sizes["latent"] == design.sizes["result_effect"] == design.sizes["slope"] == 0
    model = build_model(design, baseline_spec)
    assert "coding_error" not in model.named_vars
    assert finite_logp(model)


def test_a_spec_without_any_effect_builds(tiny_data, baseline_spec):
    bare = baseline_spec.model_copy(update={"onset": baseline_spec.onset.model_copy(update={"effects": ()})})
    model = build_model(build_design(tiny_data, bare), bare)
    assert "beta" not in model.named_vars
    assert finite_logp(model)


def test_a_design_without_challenges_builds(tiny_data, baseline_spec):
    quiet = replace(tiny_data, events=tiny_data.events.iloc[:0])
    design = build_design(quiet, baseline_spec)
    assert design.sizes["challenge"] == 0
    assert design["events"].sel(cause=["coup", "uprising"]).sum() == 0
    model = build_model(design, baseline_spec)
    assert {"cutpoints", "log_days", "removal_log_days"} <= set(model.named_vars)  # so that a forecast can be made
    assert finite_logp(model)


def test_names_and_dimensions(small):
    design, spec = small
    model = build_model(design, spec)
    assert model.named_vars_to_dims["baseline"] == ("cause",)
    assert model.named_vars_to_dims["group_slope"] == ("group", "slope")
    assert model.named_vars_to_dims["coding_error"] == ("spell", "latent")
    assert tuple(model.coords["effect"]) == tuple(design["effect"].to_numpy())


# --- what the priors imply before any event is seen


@pytest.fixture(scope="module")
def prior_world(real_data, default_spec):
    """Events drawn from the prior over the leader-years of the real study, and those that happened."""
    design = build_design(real_data, default_spec)
    with build_model(design, default_spec):
        drawn = pm.sample_prior_predictive(400, random_seed=5)
    return design, drawn["prior"].to_dataset().isel(chain=0), drawn["prior_predictive"].to_dataset().isel(chain=0)


PRIOR_WARNINGS = (
    "ignore:The effect of Potentials:UserWarning",  # challenges that go on have no draw; nothing below looks at them
    "ignore:Numba will use object mode:UserWarning",  # slower draws of one variable
)


def prior_test(function):
    for warning in PRIOR_WARNINGS:
        function = pytest.mark.filterwarnings(warning)(function)
    return function


# Events per 100 leader-years, averaged over the six hundred of the study. Coup attempts: about 4 in the world since
# 1950 (Powell and Thyne 2011); below 0.2, the census would expect one in its whole length; above 40, each leader of
# every state for 130 years would be worse off than those of Bolivia at its worst. Uprisings: from 2 in the whole
# census to nearly one a year everywhere. Other exits: mean tenures between 8 months, shorter than any republic of
# Europe has had over decades, and 50 years.
HUNDREDS = {"coup": (0.2, 40.0, 1.0, 8.0), "uprising": (0.4, 80.0, 2.0, 20.0), "other_exit": (2.0, 150.0, 8.0, 45.0)}


@prior_test
@pytest.mark.parametrize("cause", CAUSES)
def test_prior_rates_are_ones_that_a_historian_would_not_laugh_at(prior_world, cause):
    design, _, drawn = prior_world
    counts = drawn["onset"].to_numpy()[..., CAUSES.index(cause)].sum(axis=-1)
    rate = 100 * counts / float(design["exposure"].sum())
    low, high, least, most = HUNDREDS[cause]
    assert ((rate > low) & (rate < high)).mean() >= 0.9
    assert least < np.median(rate) < most
    # What happened is no surprise, and the prior has not been told of it: it is wide around it.
    observed = 100 * float(design["events"].sel(cause=cause).sum() / design["exposure"].sum())
    assert 0.05 < (rate < observed).mean() < 0.95
    assert np.quantile(rate, 0.95) / np.quantile(rate, 0.05) > 5


@prior_test
@pytest.mark.parametrize("kind", KINDS)
def test_prior_results_leave_everything_possible(prior_world, kind):
    """Challenges mostly fail or mostly succeed in some draws; in the middle one, a fifth to a half succeed."""
    design, _, drawn = prior_world
    kinds = design["challenge_kind"].to_numpy()[design["result"].to_numpy() >= 0]
    removed = (drawn["result"].to_numpy()[:, kinds == kind] == 2).mean(axis=1)
    assert 0.2 < np.median(removed) < 0.5
    assert np.quantile(removed, 0.05) < 0.1
    assert 0.6 < np.quantile(removed, 0.95) < 0.95


@prior_test
def test_prior_lengths_are_days_for_coups_and_weeks_for_campaigns(prior_world):
    _, prior, _ = prior_world
    days = np.exp(np.quantile(prior["log_days"].to_numpy(), [0.05, 0.5, 0.95], axis=0))
    coup, uprising = days[:, KINDS.index("coup")], days[:, KINDS.index("uprising")]
    assert 0.2 < coup[0] < 1 < coup[1] < 4 < coup[2] < 21
    assert 7 < uprising[0] < 30 < uprising[1] < 90 < uprising[2] < 730


@prior_test
def test_a_prior_effect_from_low_to_high_is_at_most_sevenfold(prior_world):
    _, prior, _ = prior_world
    plain = prior["beta"].sel(effect=[name for name in prior["effect"].to_numpy() if ":" not in name])
    factor = np.exp(2 * plain.to_numpy())
    assert 0.93 < ((factor < 7.2) & (factor > 1 / 7.2)).mean() < 0.97
