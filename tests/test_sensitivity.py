"""The sensitivity laboratory: patches, cases, weights held against what is known, families, shares, calibration."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecast import calibration, charts, engine, multiverse, sensitivity, shares
from forecast.design import build_design, places
from forecast.engine import Where
from forecast.errors import GateError, SpecError, UsageError
from forecast.hazards import build_stages, stack_draws
from forecast.likelihood import (
    challenge_log_likelihood,
    log_likelihood,
    read_challenges,
    read_rows,
    row_log_likelihood,
    row_log_rate,
)
from forecast.patches import Cases, Patch, Scale, find_cases, leave_out, patched_data, patched_spec, read_patches
from forecast.schema import OUTCOMES, RESULTS
from forecast.sensitivity import (
    Lab,
    case_likelihoods,
    case_patches,
    coding_patches,
    influential_readings,
    power_scaling,
    prior_patches,
    reference_patches,
    run_changes,
    weigh,
    weighted_rows,
)
from forecast.spec import Gate, Sampling, load_spec

QUICK = Sampling(draws=60, tune=200, chains=2)
LOOSE = Gate(rhat=3.0, ess=1.0, divergences=500)


@pytest.fixture(scope="module")
def lab(tiny_fit, tiny_data):
    return Lab(tiny_fit, tiny_data, "KGZ", 6, QUICK, LOOSE)


# --- patches ---


def test_shipped_patches_fit_the_shipped_study(repository, real_data, default_spec):
    named = read_patches(repository / "models" / "patches.toml")
    assert {patch.kind for patch in named.values()} == {"priors", "cases", "coding"}
    design = build_design(real_data, default_spec)
    for patch in named.values():
        assert patch.title
        view, spec = patched_data(patch, real_data), patched_spec(patch, default_spec)
        assert (view.digest != real_data.digest) == patch.changes_data
        assert (spec.digest != default_spec.digest) == patch.changes_spec
        if patch.leave_out:
            mask = find_cases(design, real_data, patch.leave_out)
            assert mask.rows.any() or mask.events.any()


def test_a_patch_that_names_nothing_is_refused(tiny_data, tmp_path):
    with pytest.raises(UsageError, match="no challenge"):
        patched_data(Patch(events={"KGZ-1900-nothing": {"kind": "uprising"}}), tiny_data)
    path = tmp_path / "patches.toml"
    path.write_text("[a]\nscales = { effects = 2.0 }\n")
    with pytest.raises(SpecError, match="scales"):
        read_patches(path)


def test_readings_move_to_an_end_or_lose_their_range(tiny_data):
    own = tiny_data.indicators["indicator"] == "repression"
    low = patched_data(Patch(readings={"repression": "low"}), tiny_data).indicators
    assert (low.loc[own, "value"] == tiny_data.indicators.loc[own, "low"]).all()
    assert low[~own].equals(tiny_data.indicators[~own])
    exact = patched_data(Patch(readings={"*": "exact"}), tiny_data).indicators
    assert (exact["low"] == exact["high"]).all()
    assert set(patched_data(Patch(coder="A"), tiny_data).indicators["coder"]) == {"A"}


def test_a_scale_widens_every_prior_of_its_kind(tiny_spec):
    wide = patched_spec(Patch(scale=Scale(effects=2.0, spreads=3.0)), tiny_spec)
    assert [e.sd for e in wide.onset.effects] == [2 * e.sd for e in tiny_spec.onset.effects]
    assert wide.onset.group_sd == 3 * tiny_spec.onset.group_sd
    assert wide.onset.baseline == tiny_spec.onset.baseline
    fewer = patched_spec(Patch(without_terms=("repression",), pooled=True), tiny_spec)
    assert "repression" not in fewer.indicators
    assert not any(effect.varies_by_group for effect in fewer.onset.effects)


def test_a_reference_prior_is_swept_where_the_spec_has_one(tiny_spec, repository, tmp_path):
    assert reference_patches(repository / "models", tiny_spec.model_copy(update={"name": "baseline"}), date.max) == {}
    text = (repository / "models" / "baseline.toml").read_text(encoding="utf-8")
    text = text.replace("[onset]", '[reference]\nfile = "prior.json"\ndiscount = 0.25\n\n[onset]', 1)
    (tmp_path / "baseline.toml").write_text(text, encoding="utf-8")
    lesson = {"mean": -2.0, "sd": 0.1}
    content = {
        "about": "",
        "baseline": {"coup": lesson},
        "effects": {},
        "parameters": ["coup"],
        "covariance": [[0.01]],
        "provenance": {"known_to": "2010-12-31"},
    }
    (tmp_path / "prior.json").write_text(json.dumps(content), encoding="utf-8")
    base = load_spec(tmp_path / "baseline.toml")
    assert reference_patches(tmp_path, base, date(2010, 12, 30)) == {}
    found = reference_patches(tmp_path, base, date(2010, 12, 31))
    means = {name: patched_spec(patch, base).onset.baseline["coup"].mean for name, patch in found.items()}
    assert means["reference prior off"] == pytest.approx(-3.9)
    assert means["reference prior at 0.25"] == base.onset.baseline["coup"].mean
    assert means["reference prior at 1"] > means["reference prior at 0.05"]


# --- cases ---


def test_cases_that_cover_everything_add_up_to_the_likelihood(lab, tiny_fit):
    design = tiny_fit.design
    countries = [find_cases(design, lab.data, Cases(countries=(name,))) for name in ("GEO", "KGZ", "EST")]
    total = log_likelihood(stack_draws(tiny_fit.posterior), design, build_stages(design, tiny_fit.spec))
    np.testing.assert_allclose(case_likelihoods(tiny_fit, countries).sum(axis=1), total)


def test_a_case_left_out_is_what_its_weights_take_away(lab, tiny_fit):
    design, stages = tiny_fit.design, build_stages(tiny_fit.design, tiny_fit.spec)
    parameters = stack_draws(tiny_fit.posterior)
    for cases in (
        Cases(challenges=("KGZ-2005-tulip",)),
        Cases(decades=(2000,)),
        Cases(before="2005-01-01", countries=("GEO",)),
    ):
        mask = find_cases(design, lab.data, cases)
        rest = log_likelihood(parameters, leave_out(design, mask), stages)
        own = case_likelihoods(tiny_fit, [mask])[:, 0]
        np.testing.assert_allclose(rest + own, log_likelihood(parameters, design, stages))


def test_a_challenge_takes_its_own_onset_with_it(lab, tiny_fit):
    begun = tiny_fit.design["challenge_id"].to_numpy()[~tiny_fit.design["inherited"].to_numpy()]
    masks = [find_cases(tiny_fit.design, lab.data, Cases(challenges=(name,))) for name in begun]
    assert [mask.events.sum() for mask in masks] == [1.0] * len(begun)
    everything = find_cases(tiny_fit.design, lab.data, Cases(challenges=tuple(begun)))
    onsets = tiny_fit.design["events"].to_numpy()[:, :2]
    np.testing.assert_array_equal(everything.events[:, :2], onsets)


def test_unknown_cases_are_refused(lab):
    with pytest.raises(UsageError, match="no such case in this view: XXX"):
        find_cases(lab.fit.design, lab.data, Cases(countries=("XXX",)))


# --- weights ---


def test_a_prior_change_of_nothing_leaves_the_draws_as_they_are(lab):
    same = weigh(lab, Patch(kind="priors", scale=Scale(effects=1.0)))
    assert same.k == 0.0
    assert same.effective == pytest.approx(len(lab.draws))


def test_prior_weights_are_the_ratio_of_normal_densities(lab, tiny_fit):
    log_weights = weigh(lab, Patch(kind="priors", scale=Scale(baseline=2.0))).log_weights
    priors = [tiny_fit.spec.onset.baseline[cause] for cause in ("coup", "uprising", "other_exit")]
    z = (stack_draws(tiny_fit.posterior)["baseline"] - [p.mean for p in priors]) / [p.sd for p in priors]
    ratio = (z**2).sum(axis=1) * (1 / 2 - 1 / 8)
    middle = np.argsort(ratio)[: len(ratio) // 2]  # what smoothing leaves alone
    np.testing.assert_allclose(np.diff(log_weights[middle]), np.diff(ratio[middle]), atol=1e-9)


def test_no_weights_where_more_than_priors_or_more_than_one_thing_changed(lab):
    assert weigh(lab, Patch(without_terms=("repression",))) is None
    assert weigh(lab, Patch(spec={"onset.lag_days": 0})) is None
    assert weigh(lab, Patch(pooled=True, coder="A")) is None


def test_weighted_rows_follow_the_weights():
    draws = np.array([[0.1] * 5, [0.3] * 5])
    row = weighted_rows(draws, np.log([0.25, 0.75]))[0]
    assert row["probability"] == pytest.approx(0.25)
    assert row["se"] > 0


def test_changes_are_answered_by_weights_or_refits_and_a_failure_stops_nothing(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(sensitivity, "LEAST", 50)
    patches = {
        "lengths": Patch(kind="priors", scale=Scale(lengths=1.05)),
        "coder A": Patch(coder="A"),
        "broken": Patch(coder="A", events={"KGZ-1900-nothing": {"kind": "uprising"}}),
    }
    found = run_changes(lab, patches, tmp_path, Where(1))
    assert [(failure.job.name, failure.exit_code) for failure in found.failures] == [("broken", 2)]
    methods = found.table.groupby("change")["method"].first()
    assert methods.to_dict() == {"as it stands": "base fit", "lengths": "weights", "coder A": "refit"}
    np.testing.assert_allclose(found.table.groupby("change")["probability"].sum(), 1.0)
    assert set(found.claims["change"]) == {"as it stands", "lengths", "coder A"}
    assert charts.plot_changes(found.table).startswith("<svg")


def test_a_refit_that_does_not_pass_its_gate_is_no_answer(lab, tiny_data):
    strict = replace(lab, gate=Gate(rhat=1.0, ess=1e9), sampling=Sampling(draws=10, tune=20, chains=2))
    with pytest.raises(GateError, match="did not pass"):
        sensitivity.refit(
            (tiny_data, lab.fit.spec, lab.warm), sensitivity.refit_job(strict, "never", Patch(pooled=True))
        )


def test_two_ways_of_an_answer_are_compared():
    lines = [
        ("a", "weights", 0.10, 0.003),
        ("a", "refit", 0.11, 0.004),
        ("b", "weights (refused)", 0.1, 0.01),
        ("b", "refit", 0.2, 0.0),
    ]
    table = pd.DataFrame(lines, columns=["change", "method", "probability", "se"]).assign(outcome="coup", k=0.2)
    told = sensitivity.compare_methods(table).set_index("change")
    assert told["trusted"].to_dict() == {"a": True, "b": False}
    assert told.loc["a", "z"] == pytest.approx(-2.0)


def test_power_scaling_names_every_quantity(lab):
    table = power_scaling(lab).set_index("quantity")
    assert {f"P({outcome})" for outcome in OUTCOMES} <= set(table.index)
    assert (table[["prior", "likelihood"]] >= 0).all().all()
    assert table.loc["P(coup)", "likelihood"] > 0


def test_kinds_have_their_patches(lab, repository):
    named = read_patches(repository / "models" / "patches.toml")
    assert "effects on onset: prior to the power 0.5" in prior_patches(named)
    assert {"country KGZ", "decade 2000", "challenge KGZ-2005-tulip"} <= set(case_patches(lab, {}))
    assert {"repression at its low", "repression at its high", "coder A alone"} <= set(coding_patches(lab, {}))


def test_an_influential_reading_moves_the_weights_as_it_says(lab):
    table = influential_readings(lab, 5, draws=400)
    assert len(table) == 5
    assert np.isfinite(table[["coup", "revolution"]]).all().all()
    assert table["relative"].is_monotonic_decreasing


def test_pulls_are_covariances_with_the_slope_of_the_likelihood(lab, tiny_fit):
    design, stages, parameters = (
        tiny_fit.design,
        build_stages(tiny_fit.design, tiny_fit.spec),
        stack_draws(tiny_fit.posterior),
    )
    centred = (lab.draws - lab.draws.mean(axis=0))[:, :2] / len(lab.draws)
    pulls = sensitivity._row_pulls(tiny_fit, centred)
    for name in ("economic_hardship", "war_balance"):
        place, step = list(design.indexes["indicator"]).index(name), 1e-4
        ends = []
        for by in (step, -step):
            centre = design["centre"].copy()
            centre[:, place] += by
            ends.append(row_log_likelihood(parameters, read_rows(design.assign(centre=centre)), stages))
        np.testing.assert_allclose(pulls[:, place], ((ends[0] - ends[1]) / (2 * step)).T @ centred, atol=1e-8)


# --- families ---


def test_the_shipped_family_is_large_and_joins_its_options(repository):
    family = multiverse.read_family(repository / "models" / "multiverse.toml")
    assert len(family.patches) >= 96
    assert len({patch.model_dump_json() for patch in family.patches.values()}) == len(family.patches)


def test_what_is_foreseen_of_everything_is_the_likelihood(tiny_fit, tiny_data):
    one = replace(
        tiny_fit,
        posterior=tiny_fit.posterior.isel(chain=[0], draw=[0]),
        provenance={**tiny_fit.provenance, "known_to": "1980-01-01"},
    )
    foreseen = multiverse.score_ahead(one, tiny_data, 0)
    total = log_likelihood(stack_draws(one.posterior), one.design, build_stages(one.design, one.spec))
    assert sum(foreseen.values()) == pytest.approx(float(total[0]))
    assert {name[:3] for name in foreseen} == {"GEO", "KGZ", "EST"}


def test_years_are_cut_without_losing_a_day(tiny_fit):
    pieces, unit = multiverse.cut_years(tiny_fit.design, pd.Timestamp("1980-01-01"))
    assert float(pieces["exposure"].sum()) == pytest.approx(float(tiny_fit.design["exposure"].sum()))
    assert float(pieces["events"].sum()) == float(tiny_fit.design["events"].sum())
    assert float(pieces["exposure"].max()) <= 1.01
    assert len(unit) == pieces.sizes["row"]


def test_stacking_finds_the_better_mixture():
    rng = np.random.default_rng(1)
    truth = rng.random(4000) < 0.7
    density = np.stack([np.where(truth, 0.9, 0.1), np.where(truth, 0.1, 0.9), np.full(4000, 0.3)])
    weights = multiverse.stack_weights(np.log(density))
    assert weights[0] * 0.9 + weights[1] * 0.1 == pytest.approx(truth.mean(), abs=0.01)
    assert weights[2] < 0.01


def test_a_family_is_fitted_to_all_and_to_the_past(lab, tmp_path, monkeypatch):
    def here(work, jobs, folder, shared, where, *, progress):
        answers = {job.key: engine.attempt(work, shared, job) for job in jobs}
        return {key: json.loads(json.dumps(found["result"])) for key, found in answers.items()}, []

    monkeypatch.setattr(multiverse, "run_jobs", here)
    dimensions = {"time_unit": {"five_years": Patch(spec={"onset.period_years": 5})}}
    family = multiverse.Family(origin="2012-12-31", dimensions=dimensions)
    found = multiverse.run_multiverse(lab, family, tmp_path, sampling=QUICK, gate=LOOSE)
    assert list(found.table["time_unit"]) == ["five_years"] * 5
    assert found.table["weight"].tolist() == [1.0] * 5
    assert found.lpd.shape == (1, 36)  # three countries, twelve years
    assert found.table["elpd"].iloc[0] == pytest.approx(found.lpd.to_numpy().sum())
    assert set(found.claims["id"]) == {claim.id for claim in lab.fit.spec.claims}
    assert charts.plot_family(found.table, list(dimensions)).startswith("<svg")


def test_claims_are_counted_over_what_can_answer():
    told = pd.DataFrame({
        "id": ["C1", "C1", "C1"], "weight": [0.2, 0.5, 0.3], "support": [0.9, np.nan, 0.1], "verdict": ["leans towards", "not in this model", "leans against"],
    })  # fmt: skip
    line = multiverse.answer_claims(told).iloc[0]
    assert line["specs"] == 2
    assert line["answered"] == pytest.approx(0.5)
    assert line["holds_stacked"] == pytest.approx(0.4)
    assert line["fails_equal"] == pytest.approx(0.5)


# --- shares ---


def test_shares_add_to_one_and_find_the_planted_parts():
    rng = np.random.default_rng(2)
    sds = (3.0, 2.0, 1.0)
    nested = sum(rng.normal(scale=sd, size=(600, *((6,) if level > 0 else (1,)), *((6,) if level > 1 else (1,)), 5)) for level, sd in enumerate(sds))  # fmt: skip
    found = shares.components(nested)
    np.testing.assert_allclose(found.mean(axis=1), [9, 4, 1], rtol=0.1)
    labels = [(f"c{i}", outcome) for i in range(10) for outcome in OUTCOMES]
    cases = pd.DataFrame(labels, columns=["change", "outcome"]).assign(probability=rng.normal(size=50), se=0.0)
    family = cases.assign(weight=0.1, probability=rng.normal(size=50))
    table = shares.divide(nested, cases, family)
    np.testing.assert_allclose(table.groupby("outcome")["share"].sum(), 1.0)
    assert (table["p05"] <= table["share"] + 1e-9).mean() > 0.9
    assert charts.plot_parts(table).startswith("<svg")


def test_nested_draws_have_their_shape(lab, monkeypatch):
    monkeypatch.setattr(shares, "OUTER", 50)
    nested = shares.nested_draws(lab)
    assert nested.shape[1:] == (shares.CODINGS, shares.WALKS, 5)
    np.testing.assert_allclose(nested.sum(axis=-1), 1.0)
    assert nested.var(axis=(1, 2)).max() > 0


# --- calibration ---


def test_uniform_ranks_stay_inside_and_others_do_not():
    rng = np.random.default_rng(5)
    ranks = pd.DataFrame({
        "a: even": rng.integers(100, size=300) / 99, "a: low": (99 * rng.beta(1, 1.6, size=300)).astype(int) / 99,
        "outcome probabilities: narrow": np.where(rng.random(300) < 0.5, 0.02, 0.98),
    })  # fmt: skip
    table, curves = calibration.judge_ranks(ranks)
    assert table["outside"].tolist() == [False, True, True]
    covered = calibration.cover(ranks).set_index(["group", "nominal"])["observed"]
    assert covered["a", 0.9] > 0.8
    assert covered["outcome probabilities", 0.9] == 0.0
    assert charts.plot_ranks(curves, 0.95).startswith("<svg")


def test_a_replication_ranks_every_top_level_value(lab):
    design = calibration.thin_design(lab, 4)
    assert design.sizes["spell"] < lab.fit.design.sizes["spell"]
    job = calibration.Job("one", {"number": 1, "country": "KGZ", "horizon": 6})
    small = lab.fit.spec.with_sampling(QUICK)
    found = calibration.replicate((lab.data, small, design), job)["ranks"]
    assert {f"outcome probabilities: {outcome}" for outcome in OUTCOMES} <= set(found)
    assert any(name.startswith("effects on onset: beta") for name in found)
    assert all(0 <= value <= 1 for value in found.values())


@pytest.fixture(scope="module")
def simulated(lab):
    """Return a design, one draw of the parameters in which removals take long, and what the simulator makes of them."""
    design = calibration.thin_design(lab, 1)
    truth = lab.fit.posterior.isel(chain=[0], draw=[0]).sel(spell=design.indexes["spell"])
    truth = truth.assign(removal_log_days=truth["removal_log_days"] * 0 + 1.5)
    rng = np.random.default_rng(3)
    return design, truth, [calibration.simulate(design, lab.fit.spec, truth, rng) for _ in range(300)]


def test_simulated_onsets_are_those_of_the_model(simulated, lab):
    design, truth, copies = simulated
    rate = np.exp(row_log_rate(stack_draws(truth), read_rows(design), build_stages(design, lab.fit.spec))[0])
    expected = (design["exposure"].to_numpy()[:, None] * rate).sum(axis=0)
    seen = np.mean([copy["events"].to_numpy().sum(axis=0) for copy in copies], axis=0)
    np.testing.assert_allclose(seen, expected, atol=5 * np.sqrt(expected.max() / len(copies)))


def test_simulated_results_and_lengths_are_those_of_the_likelihood(simulated, lab):
    design, truth, copies = simulated
    parameters, stages, count = stack_draws(truth), build_stages(design, lab.fit.spec), design.sizes["challenge"]
    results, days = (np.stack([copy[name].to_numpy() for copy in copies]) for name in ("result", "log_days"))
    for place in range(len(RESULTS)):  # of an inherited challenge the likelihood knows the result and not the length
        given = design.assign(
            result=("challenge", np.full(count, place)), inherited=("challenge", np.ones(count, bool))
        )
        expected = np.exp(challenge_log_likelihood(parameters, read_challenges(given), stages)[0])
        np.testing.assert_allclose((results == place).mean(axis=0), expected, atol=5 * 0.5 / np.sqrt(len(copies)))
        assert (results == place).mean() == pytest.approx(expected.mean(), abs=5 * 0.5 / np.sqrt(results.size))
    kind, removed = places(design, "challenge_kind", "kind"), results == RESULTS.index("removed")
    mean, sd = (parameters[name][0, kind] for name in ("log_days", "log_days_sd"))
    for chosen, shift in ((removed, 1.5), (~removed, 0.0)):
        z = ((days - mean - shift) / sd)[chosen]
        assert abs(z.sum()) < 5 * np.sqrt(z.size)
