"""Updates: weights are the likelihood of the changed rows, agree with refits, and give way to refits when they must."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecast import inference
from forecast.data import Data
from forecast.density import build_density
from forecast.design import build_design
from forecast.errors import GateError
from forecast.hazards import build_stages, stack_draws
from forecast.inference import fit, load_fit, peek, save_fit
from forecast.likelihood import log_likelihood
from forecast.prediction import predict, summarise
from forecast.psis import effective_draws, resample, smooth_weights
from forecast.update import K_LIMIT, compare, describe_update, kept_update, latest_fit, reweigh, update, update_latest

DAY = "2020-08-31"
SHAPE = {"sampling.draws": 500, "sampling.tune": 500, "sampling.chains": 2, "gate.rhat": 2.0, "gate.ess": 2.0, "gate.divergences": 1000}  # fmt: skip


@pytest.fixture(scope="module")
def spec(baseline_spec, default_spec):
    """Few terms, so that sampling is quick and mixes; coded readings and a slope by group are among them."""
    effects = [e for e in default_spec.onset.effects if e.term in ("elite_division", "war_balance", "tenure")]
    content = {**SHAPE, "onset.effects": [e.model_dump() for e in effects], "result.effects": [default_spec.result.effects[0].model_dump()]}  # fmt: skip
    return default_spec.changed(content, name="small")


@pytest.fixture(scope="module")
def data(real_data, restricted) -> Data:
    return restricted(real_data, ["GEO", "KGZ", "EST"])


@pytest.fixture(scope="module")
def parent(data, spec):
    return fit(data.as_of(DAY), spec)


def with_reading(data, **cells):
    """Return a view with one reading more, made like the last one."""
    row = data.indicators[(data.indicators["country"] == "KGZ") & (data.indicators["indicator"] == "elite_division")].tail(1)  # fmt: skip
    days = {name: pd.Timestamp(cells.pop(name)).as_unit("s") for name in ("observed_on", "known_on") if name in cells}
    grown = pd.concat([data.indicators, row.assign(**cells, **days)], ignore_index=True)
    return replace(data, indicators=grown.astype(data.indicators.dtypes))


def with_coup(data, day, result="failed"):
    when = pd.Timestamp(day).as_unit("s")
    row = data.events.tail(1).assign(
        event_id=f"EST-{day}-invented", country="EST", kind="coup_attempt", start=when, end=when + pd.Timedelta(days=1), known_on=when,
        result=result, inherited=False,
    )  # fmt: skip
    return replace(data, events=pd.concat([data.events, row], ignore_index=True).astype(data.events.dtypes))


@pytest.mark.parametrize("day", ["2020-09-30", "2020-10-31", "2023-12-31"])
def test_the_weights_are_the_difference_of_the_sampled_densities(parent, data, spec, day):
    """Levels that both designs know have one prior, so densities of two designs differ by the likelihood alone."""
    new = build_design(data.as_of(day), spec, like=parent.design)
    wide = parent.design.drop_vars(["spell", "country", "group", "period"]).assign_coords(
        {name: new.indexes[name] for name in ("spell", "country", "group", "period")}
    )
    before, after = (build_density(design, spec, single=False) for design in (wide, new))
    rng = np.random.default_rng(1)
    positions = np.stack([after.start(rng) for _ in range(5)])
    draws = after.name_draws(positions[None])
    gone, came = compare(parent.design, new)
    stages, parameters = build_stages(new, spec), stack_draws(draws)
    ratio = log_likelihood(parameters, came, stages) - log_likelihood(parameters, gone, stages)
    expected = np.array([after.evaluate(p)[0] - before.evaluate(p)[0] for p in positions])
    difference = ratio - expected
    np.testing.assert_allclose(difference, difference[0], atol=1e-6)  # constants that no parameter enters are left out
    assert gone.sizes["row"] < 30
    assert came.sizes["row"] > 0
    assert np.ptp(expected) > 1e-3


def test_nothing_new_changes_nothing(parent, data):
    reweighting = reweigh(parent, data.as_of(DAY))
    assert set(reweighting.changed.values()) == {0}
    assert (reweighting.k, reweighting.share) == (0.0, pytest.approx(1.0))
    same = update(parent, data.as_of(DAY))
    for name in parent.posterior:
        np.testing.assert_array_equal(same.posterior[name], parent.posterior[name])


def test_levels_and_scales_are_kept_and_new_levels_follow(parent, data, spec):
    new = build_design(data.as_of("2024-06-30"), spec, like=parent.design)
    for name in ("period", "group", "country", "spell"):
        own = list(parent.design.indexes[name])
        assert list(new.indexes[name])[: len(own)] == own
    assert new.sizes["spell"] > parent.design.sizes["spell"]
    for name in ("location", "scale", "sd"):
        np.testing.assert_array_equal(new[name], parent.design[name])
    free = build_design(data.as_of("2024-06-30"), spec)
    assert not np.array_equal(free["location"], new["location"])
    xr.testing.assert_equal(build_design(data.as_of(DAY), spec, like=parent.design), parent.design)


def test_an_update_says_what_it_did(parent, data):
    result = update(parent, data.as_of("2020-09-30"))
    facts = result.provenance["update"]
    assert facts["method"] == "reweighted"
    assert facts["parent"] == parent.provenance["fit_digest"] != result.provenance["fit_digest"]
    assert facts["k"] < 0.7
    assert 0.5 < facts["share"] <= 1
    assert result.provenance["data_digest"] == data.as_of("2020-09-30").digest
    assert result.diagnostics.ess_bulk[0] == pytest.approx(parent.diagnostics.ess_bulk[0] * facts["share"], rel=1e-3)
    assert "reweighted the fit of 2020-08-31" in describe_update(facts)
    again = update(parent, data.as_of("2020-09-30"))
    assert all(np.array_equal(again.posterior[name], result.posterior[name]) for name in result.posterior)
    assert again.provenance == result.provenance


def test_a_new_period_goes_on_with_the_walk(parent, data, spec):
    """The rates of known periods stay as they were; the baseline becomes that of the new period."""
    later = replace(data, known_to=date(2030, 6, 30))
    reweighting = reweigh(parent, later)
    old, new = parent.posterior, reweighting.fit.posterior
    assert list(new["period"].values)[-1] == 2030
    assert not new["period_effect"].sel(period=2030).any()
    whole = new["baseline"] + new["period_effect"].sel(period=old["period"])
    np.testing.assert_allclose(whole, (old["baseline"] + old["period_effect"]).transpose(*whole.dims), atol=1e-12)


def test_an_earlier_period_cannot_be_weighed(parent, data):
    late = slice(1, None)
    cut = replace(parent, design=parent.design.isel(period=late), posterior=parent.posterior.isel(period=late))
    with pytest.raises(GateError, match="earlier period"):
        reweigh(cut, data.as_of(DAY))


def test_a_surprise_is_sampled_anew(parent, data, spec, monkeypatch):
    """A coup succeeds where the model knows of hardly any: the weights rest on few draws, and are not used."""
    shocked = with_coup(data, "2020-09-10").as_of("2020-09-30")
    strict = replace(parent, spec=spec.changed({"gate.ess": 0.9 * parent.diagnostics.ess_bulk[0]}))
    seen = {}

    def sampled(view, given, *, warm=None, progress=False):
        seen["warm"] = warm
        return replace(parent, provenance={**inference.describe_run(view, given), "fit_digest": "new"})

    monkeypatch.setattr("forecast.update.fit", sampled)
    result = update(strict, shocked)
    facts = result.provenance["update"]
    assert facts["method"] == "refitted"
    assert "ESS" in facts["reason"] or "Pareto" in facts["reason"]
    assert seen["warm"] is parent.posterior
    assert update(parent, data.as_of("2020-09-30"), refit=True).provenance["update"]["reason"] == "asked for"


@pytest.fixture(scope="module")
def putsches(data):
    """Four coups in a month, in a country and a year in which the model expects none."""
    for day in ("2020-09-04", "2020-09-10", "2020-09-16", "2020-09-22"):
        data = with_coup(data, day, "removed")
    return data.as_of("2020-09-30")


def test_a_great_surprise_trips_the_shape_of_the_weights(parent, putsches):
    """The gate of these tests asks for next to nothing, so k alone objects."""
    reweighting = reweigh(parent, putsches)
    assert reweighting.k > K_LIMIT
    assert any("Pareto k" in objection for objection in reweighting.objections)


@pytest.mark.integration
def test_a_great_surprise_is_sampled_and_believed(parent, data, putsches):
    result = update(parent, putsches)
    assert result.provenance["update"]["method"] == "refitted"
    assert "Pareto k" in result.provenance["update"]["reason"]
    quiet = data.as_of("2020-09-30")
    before = summarise(predict(update(parent, quiet), quiet, "EST", 12)).loc["coup", "probability"]
    assert summarise(predict(result, putsches, "EST", 12)).loc["coup", "probability"] > 2 * before


@pytest.mark.integration
def test_a_warm_fit_is_a_fit(parent, data, spec):
    view = data.as_of("2020-10-31")
    warm, cold = fit(view, spec, warm=parent.posterior), fit(view, spec)
    assert warm.diagnostics.rhat[0] < 1.1
    for name in ("baseline", "beta"):
        one, other = warm.posterior[name], cold.posterior[name]
        gap = (one.mean(("chain", "draw")) - other.mean(("chain", "draw"))) / other.std(("chain", "draw"))
        assert float(abs(gap).max()) < 0.35


@pytest.mark.integration
def test_updates_agree_with_refits(data, spec):
    """Twenty random updates against full samples: differences are what two samples of that size differ by."""
    rng = np.random.default_rng(7)
    larger = spec.changed({"sampling.draws": 1000})
    root = fit(data.as_of("2017-12-31"), larger)
    z = []
    for _ in range(20):
        day = pd.Timestamp("2018-01-31") + pd.offsets.MonthEnd(int(rng.integers(0, 24)))
        value = float(rng.uniform(0.1, 0.9))
        changed = with_reading(data, value=value, low=max(value - 0.1, 0), high=min(value + 0.1, 1), observed_on=day - pd.Timedelta(days=40), known_on=day - pd.Timedelta(days=35))  # fmt: skip
        view = changed.as_of(day.date())
        quick = update(root, view)
        if quick.provenance["update"]["method"] != "reweighted":
            continue
        full = fit(view, larger)
        for one, other in [(summarise(predict(f, view, "KGZ", 12)) for f in (quick, full))]:
            draws = predict(full, view, "KGZ", 12).probability.isel(month=-1)
            import arviz_stats

            error = np.sqrt(2) * draws.std(("chain", "draw")) / np.sqrt(arviz_stats.ess(draws))
            z.append(((one["probability"] - other["probability"]) / error.to_numpy()).to_numpy())
    z = np.array(z)
    assert len(z) >= 15
    assert np.abs(z).mean() < 1.3
    assert np.abs(z).max() < 4.5


def test_the_latest_sampled_fit_is_the_start(parent, data, spec, tmp_path, monkeypatch):
    save_fit(parent, inference.fit_path(tmp_path, data.as_of(DAY), spec))
    result = update_latest(tmp_path, data.as_of("2020-09-30"), spec)
    assert result.provenance["update"]["method"] == "reweighted"
    again = kept_update(tmp_path, data.as_of("2020-09-30"), spec)
    assert again.provenance == result.provenance
    assert kept_update(tmp_path, data.as_of("2020-10-31"), spec) is None
    assert peek(latest_fit(tmp_path, spec, date(2020, 9, 30))) == parent.provenance
    assert latest_fit(tmp_path, spec, date(2020, 12, 31)) == inference.fit_path(tmp_path, data.as_of(DAY), spec)
    assert latest_fit(tmp_path, spec, date(2020, 1, 1)) is None
    assert latest_fit(tmp_path, spec.changed({"onset.group_sd": 0.9}), date(2020, 12, 31)) is None
    monkeypatch.setattr("forecast.update.fit", None)  # a second call finds what the first one kept
    assert update_latest(tmp_path, data.as_of("2020-09-30"), spec).provenance == result.provenance
    same = kept_update(tmp_path, data.as_of("2020-09-30"), spec)
    view = data.as_of("2020-09-30")
    pd.testing.assert_frame_equal(summarise(predict(same, view, "KGZ", 6)), summarise(predict(result, view, "KGZ", 6)))


def test_a_dead_writer_leaves_nothing_in_the_way(parent, data, spec, tmp_path):
    path = inference.fit_path(tmp_path, data.as_of(DAY), spec)
    path.parent.mkdir()
    torn = path.with_name(f".{path.name}.part")
    torn.write_bytes(b"half a fit")
    save_fit(parent, path)
    assert not torn.exists()
    assert load_fit(path).provenance == parent.provenance


@pytest.mark.parametrize(("n", "scale"), [(400, 0.3), (4000, 1.0), (4000, 3.0), (8000, 0.05)])
def test_smoothing_is_that_of_arviz(n, scale):
    from arviz_stats.base import array_stats

    log_ratio = scale * np.random.default_rng(n).normal(size=n)
    theirs, their_k = array_stats.psislw(-log_ratio)
    ours, k = smooth_weights(log_ratio)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
    assert k == pytest.approx(float(their_k), abs=1e-10)


def test_resampling_is_exact_on_average_and_keeps_the_order():
    log_weights = np.log(np.array([0.1, 0.2, 0.3, 0.4]).repeat(250) / 250)
    places = resample(log_weights, seed=3)
    assert (np.diff(places) >= 0).all()
    np.testing.assert_allclose(np.bincount(places // 250) / 1000, [0.1, 0.2, 0.3, 0.4], atol=0.004)
    assert effective_draws(np.log(np.full(10, 0.1))) == pytest.approx(10)
    np.testing.assert_array_equal(places, resample(log_weights, seed=3))
