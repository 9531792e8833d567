"""Claims as statements over the posterior, each with a verdict in words."""

from dataclasses import replace

import numpy as np
import pytest

from forecast.claims import _verdict, evaluate_claims, usual_range
from forecast.inference import Fit
from forecast.prediction import ask, predict
from forecast.spec import Claim

WORDS = ["contradicted", "leans against", "the data cannot tell", "leans towards", "supported"]


@pytest.mark.parametrize(
    ("support", "words"),
    [
        (1.0, "supported"),
        (0.95, "supported"),
        (0.9499, "leans towards"),
        (0.80, "leans towards"),
        (0.7999, "the data cannot tell"),
        (0.5, "the data cannot tell"),
        (0.2001, "the data cannot tell"),
        (0.1999, "leans against"),
        (0.0501, "leans against"),
        (0.0499, "contradicted"),
        (0.0, "contradicted"),
    ],
)
def test_verdicts_change_at_their_limits(support, words):
    assert _verdict(support) == words


def test_verdicts_are_symmetric():
    for support in np.linspace(0.001, 0.499, 60):
        assert WORDS.index(_verdict(support)) == 4 - WORDS.index(_verdict(1 - support))


@pytest.fixture(scope="module")
def table(tiny_fit, tiny_data, tiny_forecast):
    return evaluate_claims(tiny_fit, tiny_data, tiny_forecast)


def test_every_claim_of_the_spec_is_answered(table, tiny_fit):
    assert list(table.index) == [claim.id for claim in tiny_fit.spec.claims]
    assert len(table) == 15
    counted = table.drop(index="C4")
    assert counted["support"].between(0, 1).all()
    assert (counted["low"] <= counted["estimate"]).all()
    assert (counted["estimate"] <= counted["high"]).all()
    assert all(verdict == _verdict(support) for verdict, support in zip(counted["verdict"], counted["support"], strict=True))  # fmt: skip


def with_effect(fit: Fit, variable: str, values: dict[str, float], sd: float = 0.1) -> Fit:
    """Return a fit whose posterior of some effects is normal with means that we choose."""
    level = {"beta": "effect", "result_beta": "result_effect"}[variable]
    rng, posterior = np.random.default_rng(2), fit.posterior.copy(deep=True)
    for label, mean in values.items():
        at = posterior[variable].sel({level: label})
        posterior[variable].loc[{level: label}] = mean + sd * rng.normal(size=at.shape)
    return replace(fit, posterior=posterior)


def evaluate_one(fit, data, forecast, **content):
    claim = Claim(**{"id": "X", "statement": "As claimed", **content})
    chosen = replace(fit, spec=fit.spec.model_copy(update={"claims": (claim,)}))
    return evaluate_claims(chosen, data, forecast).loc["X"]


@pytest.mark.parametrize(
    ("mean", "expected", "verdict"),
    [
        (0.6, "positive", "supported"),
        (0.6, "negative", "contradicted"),
        (0.6, "none", "contradicted"),  # a factor of exp(1.2) = 3.3 is more than the doubling that counts as none
        (-0.6, "positive", "contradicted"),
        (-0.6, "negative", "supported"),
        (-0.6, "none", "supported"),  # the claim is that it does not raise the rate
        (0.0, "positive", "the data cannot tell"),
        (0.0, "none", "supported"),
    ],
)
def test_an_effect_on_onset(tiny_fit, tiny_data, tiny_forecast, mean, expected, verdict):
    fit = with_effect(tiny_fit, "beta", {"sanctions on uprising": mean})
    found = evaluate_one(fit, tiny_data, tiny_forecast, kind="effect", on=("uprising",), terms=("sanctions",), expected=expected)  # fmt: skip
    assert found["verdict"] == verdict
    assert found["estimate"] == pytest.approx(np.exp(2 * mean), rel=0.05)
    assert np.log(found["high"] / found["low"]) == pytest.approx(2 * 1.645 * 2 * 0.1, rel=0.2)
    assert "sanctions on uprising" in found["quantity"]


def test_effects_are_summed_draw_by_draw(tiny_fit, tiny_data, tiny_forecast):
    terms = ("elite_division", "opposition_unity")
    fit = with_effect(tiny_fit, "result_beta", {"elite_division on uprising": 0.5, "opposition_unity on uprising": -0.2})  # fmt: skip
    found = evaluate_one(fit, tiny_data, tiny_forecast, kind="result", on=("uprising",), terms=terms, expected="positive")  # fmt: skip
    draws = fit.posterior["result_beta"].sel(result_effect=[f"{term} on uprising" for term in terms])
    total = 2 * draws.sum("result_effect").to_numpy().ravel()
    assert found["estimate"] == pytest.approx(np.exp(np.median(total)))
    assert found["support"] == (total > 0).mean()
    assert found["quantity"].startswith("odds ratio")


def test_coup_over_revolution(tiny_fit, tiny_data, tiny_forecast):
    found = evaluate_one(tiny_fit, tiny_data, tiny_forecast, kind="coup_over_revolution")
    end = tiny_forecast.probability.isel(month=-1)
    coup, revolution = (end.sel(outcome=name).to_numpy().ravel() for name in ("coup", "revolution"))
    assert found["support"] == (coup > revolution).mean()
    assert found["estimate"] == pytest.approx(np.median(coup / revolution))
    assert "KGZ within 6 months" in found["quantity"]


def test_share_of_swings(tiny_fit, tiny_data, tiny_forecast):
    names = [name for name in tiny_fit.spec.indicators if name not in ("tenure", "recent_challenge")]
    shares = [evaluate_one(tiny_fit, tiny_data, tiny_forecast, kind="share", terms=(name,)) for name in names[:2]]
    assert all(0 <= share["low"] <= share["estimate"] <= share["high"] <= 1 for share in shares)
    whole = evaluate_one(tiny_fit, tiny_data, tiny_forecast, kind="share", terms=tuple(names[:-1]))
    rest = evaluate_one(tiny_fit, tiny_data, tiny_forecast, kind="share", terms=(names[-1],))
    assert whole["estimate"] + rest["estimate"] == pytest.approx(1.0, abs=1e-6)  # medians of s and of 1 - s
    assert rest["support"] <= 0.5


def test_a_share_of_a_term_that_decides_everything(tiny_fit, tiny_data):
    labels = {label: 0.0 for label in tiny_fit.posterior["effect"].to_numpy()}
    fit = with_effect(tiny_fit, "beta", labels, sd=0.0)
    fit = with_effect(fit, "result_beta", {label: 0.0 for label in fit.posterior["result_effect"].to_numpy()}, sd=0.0)
    fit = with_effect(fit, "beta", {"repression on uprising": 1.5})
    fit.posterior["group_slope"][:] = 0.0
    forecast = predict(fit, tiny_data, "KGZ", 6)
    found = evaluate_one(fit, tiny_data, forecast, kind="share", terms=("repression",))
    assert found["estimate"] == pytest.approx(1.0, abs=1e-9)
    assert (found["support"], found["verdict"]) == (1.0, "supported")


def test_a_share_of_what_was_set_is_not_asked(tiny_fit, tiny_data):
    forecast = predict(tiny_fit, tiny_data, "KGZ", 6, {"war_balance": -0.5})
    found = evaluate_one(tiny_fit, tiny_data, forecast, kind="share", terms=("war_balance",))
    assert np.isnan(found["support"])
    assert found["verdict"] == "not in this model"


def test_episodes_are_counted(tiny_fit, tiny_data, real_data, tiny_forecast):
    found = evaluate_one(tiny_fit, tiny_data, tiny_forecast, kind="episodes", groups=("caucasus", "central_asia", "baltic"))  # fmt: skip
    uprisings = tiny_data.events[tiny_data.events["kind"] == "uprising"]
    assert found["estimate"] == (uprisings["result"] == "removed").sum() == 5
    assert found["quantity"] == f"removals among {len(uprisings)} uprisings (KGZ 3, GEO 2)"
    assert found["verdict"] == "supported"
    none = evaluate_one(tiny_fit, tiny_data, tiny_forecast, kind="episodes", groups=("baltic",))
    assert (none["estimate"], none["verdict"]) == (0, "contradicted")


def test_what_the_model_does_not_have_is_said_as_such(tiny_fit, tiny_data, baseline_spec, default_spec):
    """Under the baseline, which has only tenure, every claim about another term has no answer."""
    spec = baseline_spec.model_copy(update={"claims": default_spec.claims})
    posterior = tiny_fit.posterior.sel(effect=["tenure on coup", "tenure on uprising", "tenure on other_exit"])
    posterior = posterior.drop_vars(["result_beta", "result_effect", "group_slope", "group_slope_sd", "coding_error"])
    design = tiny_fit.design.sel(
        indicator=["tenure", "one"], effect=posterior["effect"], slope=[], latent=[], result_effect=[]
    )
    fit = replace(tiny_fit, posterior=posterior, spec=spec, design=design)
    forecast = predict(fit, tiny_data, "KGZ", 6)
    table = evaluate_claims(fit, tiny_data, forecast)
    kinds = {claim.id: claim.kind for claim in spec.claims}
    for name, line in table.iterrows():
        if kinds[name] in ("effect", "result", "share"):
            assert line["verdict"] == "not in this model", name
            assert np.isnan(line[["estimate", "low", "high", "support"]].to_numpy(dtype=float)).all()
        else:
            assert line["verdict"] in WORDS


def test_the_usual_range_is_the_middle_of_the_readings(tiny_data):
    for name in ("repression", "war_balance"):
        own = tiny_data.indicators.loc[tiny_data.indicators["indicator"] == name, "value"]
        own = own[own != 0] if name == "war_balance" else own
        assert usual_range(tiny_data, name) == (pytest.approx(own.quantile(0.05)), pytest.approx(own.quantile(0.95)))
    assert usual_range(tiny_data, "polyarchy")[0] < usual_range(tiny_data, "polyarchy")[1]
    nothing = replace(tiny_data, indicators=tiny_data.indicators.iloc[:0])
    assert usual_range(nothing, "repression") == (0.0, 0.0)


def test_questions_of_claims_are_those_of_the_forecast(tiny_fit, tiny_data):
    forecast = predict(tiny_fit, tiny_data, "EST", 9)
    assert forecast.question == ask(tiny_data, "EST", 9)
    assert "EST within 9 months" in evaluate_claims(tiny_fit, tiny_data, forecast).loc["C9b", "quantity"]
