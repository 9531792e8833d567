"""Known truth in, known truth out: events drawn from known parameters on the real leader-days, and fitted again.

The truths are draws from the prior, so 90% intervals of a right posterior cover them nine times out of ten, whatever
the parameter. A posterior that had learnt nothing would do so too; that it learns is asked apart.
"""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

from forecast.design import build_design, places
from forecast.hazards import build_stages, log_hazard, result_score, row_index, true_values
from forecast.inference import sample
from forecast.schema import CAUSES, KINDS, RESULTS
from forecast.spec import load_spec

COUNTRIES = ["GEO", "KGZ", "EST", "UKR", "RUS"]
REPLICATIONS = 4
TERMS = {"war_balance", "economic_hardship", "elite_division", "mobilisation_capacity", "tenure", "economic_hardship:elite_division"}  # fmt: skip
RESULT_TERMS = {"elite_division", "mobilisation_capacity"}
CHECKED = ("baseline", "beta", "result_beta", "cutpoints", "log_days", "removal_log_days")


def choose(spec):
    """Return a spec with some of the default's effects, all with the default's priors, and a short run."""
    spec = spec.changed({"sampling.draws": 300, "sampling.tune": 400, "sampling.chains": 2}, name="recovery")
    onset = tuple(effect for effect in spec.onset.effects if effect.term in TERMS)
    result = tuple(effect for effect in spec.result.effects if effect.term in RESULT_TERMS)
    return spec.model_copy(update={
        "onset": spec.onset.model_copy(update={"effects": onset}),
        "result": spec.result.model_copy(update={"effects": result}),
    })  # fmt: skip


def draw_truth(design, spec, rng):
    """Return parameters drawn from the priors as the spec states them, one line for each line of the model."""
    onset, result, size = spec.onset, spec.result, design.sizes

    def scattered(level, of, sd):
        return np.abs(sd * rng.normal(size=of)) * rng.normal(size=(size[level], of))

    def normals(priors):
        return np.array([rng.normal(prior.mean, prior.sd) for prior in priors])

    def effects(some):
        return normals([effect for effect in some for _ in effect.on])

    walk = np.cumsum(np.abs(onset.period_sd * rng.normal(size=3)) * rng.normal(size=(size["period"], 3)), axis=0)
    first = normals([result.cutpoints[kind].failed for kind in KINDS])
    gap = np.full(2, -1.0)
    while (gap < 0).any():
        gap = np.where(gap < 0, normals([result.cutpoints[kind].gap for kind in KINDS]), gap)
    return {
        "baseline": normals([onset.baseline[cause] for cause in CAUSES]),
        "period_effect": walk - walk[-1],
        "group_effect": scattered("group", 3, onset.group_sd),
        "country_effect": scattered("country", 3, onset.country_sd),
        "beta": effects(onset.effects),
        "group_slope": scattered("group", size["slope"], onset.slope_sd),
        "cutpoints": np.stack([first, first + gap], axis=-1),
        "result_group_effect": scattered("group", 2, result.group_sd),
        "result_beta": effects(result.effects),
        "log_days": normals([result.log_days[kind] for kind in KINDS]),
        "log_days_sd": np.abs(result.log_days_sd * rng.normal(size=2)),
        "removal_log_days": result.removal_log_days_sd * rng.normal(size=2),
        "coding_error": rng.normal(size=(size["spell"], size["latent"])),
    }


def draw_events(design, spec, truth, rng):
    """Return the design with events, results and lengths drawn from the truth, all challenges having ended."""
    stages, index = build_stages(design, spec), row_index(design)
    centre, spread = design["centre"].to_numpy(), design["spread"].to_numpy()
    x = true_values(centre, spread, truth["coding_error"][index.spell], stages.latent)
    rate = np.exp(log_hazard(truth, x, index, stages)) * design["exposure"].to_numpy()[:, None]
    kind, spell = places(design, "challenge_kind", "kind"), places(design, "challenge_spell", "spell")
    centre, spread = design["challenge_centre"].to_numpy(), design["challenge_spread"].to_numpy()
    x = true_values(centre, spread, truth["coding_error"][spell], stages.latent)
    score = result_score(truth, x, places(design, "challenge_group", "group"), stages)[np.arange(len(kind)), kind]
    # An ordered logit is a logistic variable around the score, sorted into classes by the cut points.
    drawn = score + rng.logistic(size=len(kind))
    result = (drawn[:, None] > truth["cutpoints"][kind]).sum(axis=1)
    removed = result == RESULTS.index("removed")
    mean = truth["log_days"][kind] + truth["removal_log_days"][kind] * removed
    return design.assign(
        events=(("row", "cause"), rng.poisson(rate).astype(float)),
        result=("challenge", result),
        log_days=("challenge", rng.normal(mean, truth["log_days_sd"][kind])),
        ended=("challenge", np.ones(len(kind), dtype=bool)),
    )


@pytest.fixture(scope="module")
def replications(real_data, restricted, repository):
    spec = choose(load_spec(repository / "models" / "default.toml", "no_reference"))  # there is more to learn
    design = build_design(restricted(real_data, COUNTRIES), spec)
    made = []
    for number in range(REPLICATIONS):
        rng = np.random.default_rng([100, number])
        truth = draw_truth(design, spec, rng)
        world = draw_events(design, spec, truth, rng)
        made.append((truth, sample(world, spec)[0]))
    return spec, made


def flat(posterior: xr.Dataset, name):
    draws = posterior[name].to_numpy()
    return draws.reshape(draws.shape[0] * draws.shape[1], -1)


@pytest.mark.integration
def test_intervals_cover_the_truth_as_often_as_they_say(replications):
    _, made = replications
    covered = []
    for truth, posterior in made:
        for name in CHECKED:
            low, high = np.quantile(flat(posterior, name), [0.05, 0.95], axis=0)
            covered += list((low <= truth[name].ravel()) & (truth[name].ravel() <= high))
    least, most = binom.ppf([0.0005, 0.9995], len(covered), 0.9)
    assert len(covered) == REPLICATIONS * 27
    assert least <= sum(covered) <= most, f"{sum(covered)} of {len(covered)}"


@pytest.mark.integration
def test_the_posterior_learns_from_the_events(replications):
    """Baselines and effects are nearer to the truth than their prior means, and less uncertain than their priors."""
    spec, made = replications
    means = {
        "baseline": np.array([spec.onset.baseline[cause].mean for cause in CAUSES]),
        "beta": np.array([effect.mean for effect in spec.onset.effects for _ in effect.on]),
    }
    sds = {
        "baseline": np.array([spec.onset.baseline[cause].sd for cause in CAUSES]),
        "beta": np.array([effect.sd for effect in spec.onset.effects for _ in effect.on]),
    }
    truth, found, shrunk = [], [], []
    for true, posterior in made:
        for name, mean in means.items():
            draws = flat(posterior, name)
            truth += list((true[name] - mean) / sds[name])
            found += list((draws.mean(axis=0) - mean) / sds[name])
            shrunk += list(draws.std(axis=0) / sds[name])
    truth, found = np.array(truth), np.array(found)
    # Without learning, a correlation over some sixty parameters is above 0.4 once in a thousand times.
    assert np.corrcoef(truth, found)[0, 1] > 0.4
    assert ((found - truth) ** 2).mean() < 0.85 * (truth**2).mean()
    assert np.mean(shrunk) < 0.9
