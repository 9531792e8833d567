"""What carries the answer: priors, cases and coding changed one at a time, by weights where they hold and by refits where not.

One base fit, many named changes. A change that leaves the draws comparable is answered by importance weights; when their
Pareto k or the effective sample says no, or when no weights exist, the changed model is sampled anew by `engine`, started
from the base fit's draws. Every line of a result says which was done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

import forecast
from forecast.claims import evaluate_claims
from forecast.data import Data
from forecast.density import list_blocks
from forecast.design import RANGE_SDS, build_design
from forecast.engine import Failure, Job, Where, run_jobs
from forecast.errors import GateError
from forecast.hazards import BLOCK, build_stages, log_hazard, row_index, stack_draws, true_values
from forecast.inference import Fit, fit
from forecast.likelihood import challenge_log_likelihood, log_likelihood, read_challenges, read_rows, row_log_rate
from forecast.patches import Cases, Mask, Patch, Scale, find_cases, leave_out, list_wars, patched_data, patched_spec
from forecast.prediction import INTERVALS, Forecast, answer, ask, look_ahead, predict, thinned, unmixed
from forecast.psis import effective_draws, resample, smooth_weights
from forecast.schema import OUTCOMES
from forecast.spec import Gate, Sampling, Spec, inform, load_spec, read_reference
from forecast.update import K_LIMIT, reweigh

FORMAT = 1  # of the kept results; raise it when the same job would give other numbers
SMALL = Sampling(
    draws=250, tune=200, chains=4, target_accept=0.8
)  # of a refit; started from the base fit, it tunes half as long
SMALL_GATE = Gate(rhat=1.05, ess=60, divergences=4)  # of a refit: enough for a difference, not for publishing
UNCHECKED = (  # by a refit's gate: coding errors, of which there are a thousand, and what effects are made of
    "coding_error", "period_effect_z", "group_effect_z", "country_effect_z", "group_slope_z", "result_group_effect_z",
)  # fmt: skip
WARM_DRAWS = 400  # of the base fit, from which refits start
LEAST = 400.0  # effective draws that weights must leave
CLAIM_DRAWS = 500
DISCOUNTS = (1e-9, 0.05, 0.25, 0.5, 1.0)  # of a reference prior; the first is as good as none
GROUPS = {  # of the top-level priors, by the names of the parameters; what is drawn given a spread is no prior to scale
    "base rates": ("baseline", "period_drift"),
    "effects on onset": ("beta", "beta_global"),
    "spreads": ("period_effect_sd", "group_effect_sd", "country_effect_sd", "group_slope_sd", "result_group_effect_sd"),
    "results": ("failed_cut", "concession_gap", "result_beta", "result_beta_global"),
    "lengths": ("log_days", "log_days_sd", "removal_log_days"),
}
REMOVALS = [OUTCOMES.index("coup"), OUTCOMES.index("revolution")]
CHANGE = ["change", "kind", "method", "k", "effective"]
Method = Literal["needed", "all", "none"]


@dataclass(frozen=True)
class Lab:
    """A base fit and the question that every change is asked.

    Attributes
    ----------
    fit : Fit
    data : Data
        The view that the fit was made from.
    country : str
    horizon : int
        Months.
    sampling : Sampling
        Of each refit.
    gate : Gate
        That each refit must pass.
    """

    fit: Fit
    data: Data
    country: str = "RUS"
    horizon: int = 24
    sampling: Sampling = SMALL
    gate: Gate = SMALL_GATE

    @cached_property
    def forecast(self) -> Forecast:
        """The answer of the base fit."""
        return predict(self.fit, self.data, self.country, self.horizon)

    @cached_property
    def draws(self) -> Any:
        """Probabilities at the horizon (draw x outcome)."""
        return flatten(self.forecast)

    @cached_property
    def warm(self) -> xr.Dataset:
        """What refits start from: a small part of the posterior."""
        return thinned(self.fit, WARM_DRAWS).posterior


@dataclass(frozen=True)
class Findings:
    """What changes do.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per change and outcome: the columns of `CHANGE`, ``outcome``, ``probability``, intervals, ``se`` (Monte Carlo
        standard error), ``base`` and ``difference``. The first change is none: "as it stands".
    claims : pandas.DataFrame
        One row per change and claim.
    failures : sequence of Failure
    """

    table: pd.DataFrame
    claims: pd.DataFrame
    failures: Sequence[Failure] = ()


def flatten(result: Forecast) -> Any:
    """Return the probabilities at the horizon over all draws of all chains (draw x outcome)."""
    values = result.probability.isel(month=-1).to_numpy()
    return values.reshape(-1, values.shape[-1])


# --- weights ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weighting:
    """Draws of the base fit with weights for a changed model.

    Attributes
    ----------
    fit : Fit
        With the levels of the changed design.
    draws : array (draw x outcome)
    log_weights : array (draw)
    k : float
        Pareto shape.
    """

    fit: Fit
    draws: Any
    log_weights: Any
    k: float

    @property
    def effective(self) -> float:
        """Effective draws."""
        return effective_draws(self.log_weights)

    @property
    def holds(self) -> bool:
        """Whether the weights may be trusted."""
        return self.k <= K_LIMIT and self.effective >= LEAST


def weigh(lab: Lab, patch: Patch, log_ratio: Any = None) -> Weighting | None:
    """Return the base fit's draws weighted for a patch, or None where no weights exist: more than one thing changed, or another design.

    Parameters
    ----------
    lab : Lab
    patch : Patch
    log_ratio : array (draw), optional
        Of target over base, where it is known already.
    """
    if log_ratio is None and sum((patch.changes_data, patch.changes_spec, patch.leave_out is not None)) != 1:
        return None
    if log_ratio is None and patch.changes_data:
        return _weigh_data(lab, patch)
    if log_ratio is None and patch.changes_spec:
        log_ratio = prior_ratio(lab, patch)
    elif log_ratio is None and patch.leave_out is not None:
        log_ratio = -case_likelihoods(lab.fit, [find_cases(lab.fit.design, lab.data, patch.leave_out)])[:, 0]
    if log_ratio is None:
        return None
    return Weighting(lab.fit, lab.draws, *smooth_weights(log_ratio))


def _weigh_data(lab: Lab, patch: Patch) -> Weighting | None:
    if patch.readings or patch.coder:  # nearly every row is another one, and no weights would hold
        return None
    view = patched_data(patch, lab.data)
    try:
        found = reweigh(lab.fit, view)
    except GateError:
        return None
    question = ask(view, lab.country, lab.horizon)
    draws = flatten(answer(found.fit, look_ahead(found.fit, view, question), question))
    return Weighting(found.fit, draws, found.log_weights, found.k)


def case_likelihoods(fitted: Fit, masks: Sequence[Mask]) -> Any:
    """Return the log-likelihood of each case (draw x case)."""
    parameters, design, stages = stack_draws(fitted.posterior), fitted.design, build_stages(fitted.design, fitted.spec)
    rows, challenges = (np.stack([getattr(mask, name) for mask in masks], axis=1).astype(float) for name in ("rows", "challenges"))  # fmt: skip
    events = np.stack([mask.events.ravel() for mask in masks], axis=1)
    used, onset, begun, parts = np.flatnonzero(events.any(axis=1)), read_rows(design), read_challenges(design), []
    for start in range(0, len(parameters["baseline"]), BLOCK):
        block = {name: values[start : start + BLOCK] for name, values in parameters.items()}
        rate = row_log_rate(block, onset, stages)
        per_row = (onset.events * rate - onset.exposure[:, None] * np.exp(rate)).sum(axis=-1)
        taken = rate.reshape(len(rate), -1)[:, used] @ events[used]
        parts.append(per_row @ rows + taken + challenge_log_likelihood(block, begun, stages) @ challenges)
    return np.concatenate(parts)


def log_priors(posterior: xr.Dataset, design: xr.Dataset, spec: Spec) -> dict[str, Any]:
    """Return the log density of each top-level parameter's prior under a spec, up to a constant (draw)."""
    found = {}
    top = {name for names in GROUPS.values() for name in names}
    for block in list_blocks(design, spec):
        if block.name in top and block.name in posterior and block.mean.size:
            z = (posterior[block.name].transpose("chain", "draw", ...).to_numpy() - block.mean) / block.sd
            each = -(z**2) / 2 if not block.tail else -(block.tail + 1) / 2 * np.log1p(z**2 / block.tail)
            found[block.name] = each.reshape(-1, block.mean.size).sum(axis=1)
    return found


def prior_ratio(lab: Lab, patch: Patch) -> Any:
    """Return the log ratio of the priors under a patched spec and the base's (draw), or None where more than priors changed."""
    spec = patched_spec(patch, lab.fit.spec)
    design = build_design(lab.data, spec)
    if not _same(design, lab.fit.design) or _shape(spec) != _shape(lab.fit.spec):
        return None
    new, old = (log_priors(lab.fit.posterior, design, model) for model in (spec, lab.fit.spec))
    return np.sum([new[name] - old[name] for name in new], axis=0)


def _same(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Return whether two designs hold the same, whatever the types of their labels."""
    return set(one.variables) == set(other.variables) and all(
        np.array_equal(one[name].to_numpy(), other[name].to_numpy()) for name in one.variables
    )


def _shape(spec: Spec) -> Any:
    """Return what of a spec shapes the model besides its priors and its design."""
    stages = (spec.onset, spec.result)
    return [
        [(stage.shrinkage is not None), [(e.term, e.on, e.varies_by_group) for e in stage.effects]] for stage in stages
    ]


def weighted_rows(draws: Any, log_weights: Any = None, effective: float | None = None) -> list[dict[str, Any]]:
    """Return mean, intervals and Monte Carlo standard error of each outcome over weighted draws."""
    weights = np.full(len(draws), 1 / len(draws)) if log_weights is None else np.exp(log_weights)
    mean = weights @ draws
    spread = np.sqrt(weights @ (draws - mean) ** 2)
    lines = []
    for place, outcome in enumerate(OUTCOMES):
        order = np.argsort(draws[:, place])
        reached = np.cumsum(weights[order]) - weights[order] / 2
        levels = np.interp(list(INTERVALS.values()), reached, draws[order, place])
        count = effective or (len(draws) if log_weights is None else effective_draws(log_weights))
        lines.append({
            "outcome": outcome, "probability": float(mean[place]), **dict(zip(INTERVALS, map(float, levels), strict=True)),
            "se": float(spread[place] / np.sqrt(count)),
        })  # fmt: skip
    return lines


def weighted_claims(lab: Lab, weighting: Weighting, view: Data) -> list[dict[str, Any]]:
    """Return the answers to the claims from draws that are drawn by their weights."""
    chosen = resample(weighting.log_weights, seed=1)[:: max(1, len(weighting.log_weights) // CLAIM_DRAWS)]
    posterior = weighting.fit.posterior.stack(sample=("chain", "draw")).isel(sample=chosen)
    posterior = posterior.drop_vars(["sample", "chain", "draw"]).expand_dims("chain").rename(sample="draw").transpose("chain", "draw", ...)  # fmt: skip
    drawn = replace(
        weighting.fit, posterior=posterior, provenance={**weighting.fit.provenance, "data_digest": view.digest}
    )
    return claim_rows(drawn, view, predict(drawn, view, lab.country, lab.horizon))


def claim_rows(fitted: Fit, view: Data, result: Forecast) -> list[dict[str, Any]]:
    """Return the answers to the claims as plain values."""
    table = evaluate_claims(fitted, view, result).reset_index()
    return [
        {name: (None if isinstance(value, float) and np.isnan(value) else value) for name, value in line.items()}
        for line in table.drop(columns=["statement", "quantity"]).to_dict("records")
    ]


# --- refits -------------------------------------------------------------------------------------------------------


def refit_job(lab: Lab, name: str, patch: Patch, **more: Any) -> Job:
    """Return the job of sampling a patched model anew."""
    facts = {
        "what": f"refit {FORMAT}", "patch": patch.model_dump(mode="json", exclude={"title"}), "data": lab.data.digest, "spec": lab.fit.spec.digest,
        "base": lab.fit.provenance.get("fit_digest"), "claims": [claim.model_dump(mode="json") for claim in lab.fit.spec.claims],
        "country": lab.country, "horizon": lab.horizon, "sampling": lab.sampling.model_dump(exclude={"seed"}), "gate": lab.gate.model_dump(),
        "version": forecast.__version__, **more,
    }  # fmt: skip
    return Job(name, facts)


def sample_patched(shared: tuple[Data, Spec, xr.Dataset], job: Job) -> tuple[Fit, Data]:
    """Return the fit of a patched model behind the small gate, and its view.

    Raises
    ------
    GateError
        When the fit does not pass.
    """
    data, spec, warm = shared
    patch = Patch.model_validate(job.facts["patch"])
    sampling = Sampling(**job.facts["sampling"], seed=job.seed)
    view, model = patched_data(patch, data), patched_spec(patch, spec)
    if "as_of" in job.facts:
        view = view.as_of(job.facts["as_of"])
    model = model.model_copy(update={"sampling": sampling, "gate": Gate(**job.facts["gate"])})
    design = build_design(view, model)
    if patch.leave_out is not None:
        design = leave_out(design, find_cases(design, view, patch.leave_out))
    result = fit(view, model, warm=warm, design=design, unchecked=UNCHECKED)
    result.require_gate()
    return result, view


def refit(shared: tuple[Data, Spec, xr.Dataset], job: Job) -> dict[str, Any]:
    """Return probabilities and claims of a patched model, sampled anew, as plain JSON values."""
    result, view = sample_patched(shared, job)
    told = predict(result, view, job.facts["country"], job.facts["horizon"])
    end = told.probability.isel(month=-1)
    if bad := unmixed(end, result.spec.gate):
        raise GateError(f"the probabilities did not pass the gate: {', '.join(bad)}")
    facts = {
        **vars(result.diagnostics),
        "draws": int(end.sizes["chain"] * end.sizes["draw"]),
        "tries": result.provenance["tries"],
    }
    return {
        "rows": weighted_rows(flatten(told), effective=_ess(end)),
        "claims": claim_rows(result, view, told),
        "fit": facts,
    }


def _ess(draws: xr.DataArray) -> float:
    import arviz_stats

    return float(arviz_stats.ess(draws, method="mean").min())


def run_changes(
    lab: Lab, patches: Mapping[str, Patch], folder: Path, where: Where | None = None, *, refits: Method = "needed",
    claims: Collection[str] | None = None, progress: bool = False,
) -> Findings:  # fmt: skip
    """Return what each patch does to the probabilities and the claims.

    Parameters
    ----------
    lab : Lab
    patches : mapping of name to Patch
    folder : Path
        Keeps the refits.
    where : Where
    refits : {"needed", "all", "none"}
        Sample anew where weights do not hold, always (beside the weights, so that both can be compared), or never.
    claims : collection of str, optional
        The weighted changes of which the claims are evaluated too; all if not given. Refits always evaluate them.
    progress : bool
    """
    ratios = _case_ratios(lab, patches)
    weightings = {name: weigh(lab, patch, ratios.get(name)) for name, patch in patches.items()}
    jobs = {
        name: refit_job(lab, name, patches[name])
        for name, found in weightings.items()
        if refits == "all" or (refits == "needed" and (found is None or not found.holds))
    }
    shared = (lab.data, lab.fit.spec, lab.warm)
    results, failures = run_jobs(refit, list(jobs.values()), folder, shared, where, progress=progress)
    lines, told = _base_lines(lab)
    for name, patch in patches.items():
        found, result = weightings[name], results.get(jobs[name].key) if name in jobs else None
        if found is not None and (result is None or refits == "all"):
            method = "weights" if found.holds else "weights (refused)"
            known = {"change": name, "kind": patch.kind, "method": method, "k": found.k, "effective": found.effective}
            lines += [{**known, **row} for row in weighted_rows(found.draws, found.log_weights)]
            if found.holds and result is None and (claims is None or name in claims):
                told += [{**known, **row} for row in weighted_claims(lab, found, patched_data(patch, lab.data))]
        if result is not None:
            known = {"change": name, "kind": patch.kind, "method": "refit", "k": np.nan, "effective": result["fit"]["draws"]}  # fmt: skip
            lines += [{**known, **row} for row in result["rows"]]
            told += [{**known, **row} for row in result["claims"]]
    return Findings(_finish(lines), pd.DataFrame(told), failures)


def _case_ratios(lab: Lab, patches: Mapping[str, Patch]) -> dict[str, Any]:
    """Return the log ratios of all patches that only leave cases out, from one pass over the likelihood."""
    cases = {name: p.leave_out for name, p in patches.items() if p.leave_out and not (p.changes_data or p.changes_spec)}
    masks = [find_cases(lab.fit.design, lab.data, own) for own in cases.values()]
    return dict(zip(cases, -case_likelihoods(lab.fit, masks).T, strict=True)) if masks else {}


def _base_lines(lab: Lab) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    known = {"change": "as it stands", "kind": "base", "method": "base fit", "k": np.nan, "effective": len(lab.draws)}
    rows = weighted_rows(lab.draws, effective=_ess(lab.forecast.probability.isel(month=-1)))
    return [{**known, **row} for row in rows], [{**known, **row} for row in claim_rows(lab.fit, lab.data, lab.forecast)]


def _finish(lines: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(lines)
    base = table[table["kind"] == "base"].set_index("outcome")["probability"]
    return table.assign(base=table["outcome"].map(base), difference=table["probability"] - table["outcome"].map(base))


def compare_methods(table: pd.DataFrame, outcomes: Sequence[str] = ("coup", "revolution")) -> pd.DataFrame:
    """Return, for changes that were answered both ways, the two answers and whether they agree within Monte Carlo error.

    Returns
    -------
    pandas.DataFrame
        Change, outcome, k, ``weights``, ``refit``, ``error`` (standard error of the difference), ``z`` and ``trusted``.
    """
    both = table[table["outcome"].isin(list(outcomes))]
    weights = both[both["method"].str.startswith("weights")].set_index(["change", "outcome"])
    refits = both[both["method"] == "refit"].set_index(["change", "outcome"])
    joined = weights.join(refits[["probability", "se"]].add_suffix("_refit"), how="inner")
    error = np.hypot(joined["se"], joined["se_refit"])
    return pd.DataFrame({
        "k": joined["k"], "trusted": joined["method"] == "weights", "weights": joined["probability"], "refit": joined["probability_refit"],
        "error": error, "z": (joined["probability"] - joined["probability_refit"]) / error,
    }).reset_index()  # fmt: skip


# --- kinds --------------------------------------------------------------------------------------------------------


def prior_patches(named: Mapping[str, Patch]) -> dict[str, Patch]:
    """Return the named alternative priors, and each group of top-level priors to the powers 1/2 and 2."""
    fields = {
        "base rates": "baseline",
        "effects on onset": "effects",
        "spreads": "spreads",
        "results": "results",
        "lengths": "lengths",
    }
    found = {name.replace("_", " "): patch for name, patch in named.items() if patch.kind == "priors"}
    for group, field in fields.items():
        for power in (0.5, 2.0):  # a normal or half-normal prior to a power is one with another spread
            scale = Scale(**{field: power**-0.5})
            found[f"{group}: prior to the power {power:g}"] = Patch(kind="priors", scale=scale)
    return found


def reference_patches(models: Path, spec: Spec, known_to: date) -> dict[str, Patch]:
    """Return the reference prior at other discounts, and off; nothing where the spec has none that could be known on a day."""
    plain = load_spec(models / f"{spec.name.partition('+')[0]}.toml", known_to=date.min)
    if plain.reference is None:
        return {}
    reference, found = read_reference(models / plain.reference.file), {}
    if reference.provenance.known_to > known_to:
        return {}
    for discount in DISCOUNTS:
        onset = inform(plain, reference, discount).onset.model_dump(mode="json")
        label = "reference prior off" if discount < 0.01 else f"reference prior at {discount:g}"
        found[label] = Patch(kind="priors", spec={f"onset.{name}": onset[name] for name in ("baseline", "effects")})
    return found


def power_scaling(lab: Lab) -> pd.DataFrame:
    """Return how far scaling of prior and likelihood moves probabilities and claimed effects (Kallioinen et al. 2024).

    Returns
    -------
    pandas.DataFrame
        One row per quantity: ``prior``, ``likelihood``, one column per group of priors (distance between the posteriors per
        doubling; 0.05 is about a third of a standard deviation), and ``diagnosis`` in words.
    """
    import arviz_stats

    design, spec = lab.fit.design, lab.fit.spec
    shape = (lab.fit.posterior.sizes["chain"], lab.fit.posterior.sizes["draw"])
    priors = log_priors(lab.fit.posterior, design, spec)
    likelihood = log_likelihood(stack_draws(lab.fit.posterior), design, build_stages(design, spec))
    end = lab.forecast.probability.isel(month=-1)
    quantities = {f"P({outcome})": end.sel(outcome=outcome, drop=True) for outcome in OUTCOMES}
    for claim in spec.claims:
        variable, level = ("beta", "effect") if claim.kind == "effect" else ("result_beta", "result_effect")
        labels = [f"{term} on {cause}" for term in claim.terms for cause in claim.on]
        known = lab.fit.posterior[level].to_numpy() if variable in lab.fit.posterior else ()
        if claim.kind in ("effect", "result") and set(labels) <= set(known):
            quantities[f"{claim.id} (log ratio)"] = 2 * lab.fit.posterior[variable].sel({level: labels}).sum(level)
    tree = xr.DataTree.from_dict({
        "posterior": xr.Dataset({name: values.reset_coords(drop=True) for name, values in quantities.items()}),
        "log_prior": xr.Dataset({name: (("chain", "draw"), values.reshape(shape)) for name, values in priors.items()}),
        "log_likelihood": xr.Dataset({"all": (("chain", "draw"), likelihood.reshape(shape))}),
    })  # fmt: skip
    columns = {
        "prior": arviz_stats.psense(tree, group="prior"),
        "likelihood": arviz_stats.psense(tree, group="likelihood"),
    }
    for group, names in GROUPS.items():
        if own := [name for name in names if name in priors]:
            columns[group] = arviz_stats.psense(tree, group="prior", group_var_names=own)
    table = pd.DataFrame({name: {key: float(values[key]) for key in quantities} for name, values in columns.items()})
    diagnosis = [
        diagnose_power(prior, likelihood) for prior, likelihood in zip(table["prior"], table["likelihood"], strict=True)
    ]
    return table.assign(diagnosis=diagnosis).rename_axis("quantity").reset_index()


def diagnose_power(prior: float, likelihood: float, limit: float = 0.05) -> str:
    """Return in words what power-scaling says.

    Examples
    --------
    >>> diagnose_power(0.01, 0.2), diagnose_power(0.1, 0.2)
    ('the data decide', 'prior and data pull apart: both matter')
    """
    if prior >= limit:
        return (
            "prior and data pull apart: both matter"
            if likelihood >= limit
            else "the prior decides, the data say little"
        )
    return "the data decide" if likelihood >= limit else "neither matters much"


def case_patches(lab: Lab, named: Mapping[str, Patch]) -> dict[str, Patch]:
    """Return the named deletions, and one for each country, war, decade and challenge of the fit."""
    design = lab.fit.design
    found = {name.replace("_", " "): patch for name, patch in named.items() if patch.kind == "cases"}
    decades = sorted({int(year) // 10 * 10 for year in pd.to_datetime(design["row_start"].to_numpy()).year})
    groups = {
        "country": ("countries", sorted(set(design["row_country"].to_numpy()))), "war": ("wars", list(list_wars(design))),
        "decade": ("decades", decades), "challenge": ("challenges", list(design["challenge_id"].to_numpy())),
    }  # fmt: skip
    for kind, (field, values) in groups.items():
        for value in values:
            found[f"{kind} {value}"] = Patch(kind="cases", leave_out=Cases.model_validate({field: (value,)}))
    return found


def run_cases(
    lab: Lab, named: Mapping[str, Patch], folder: Path, where: Where | None = None, *, progress: bool = False
) -> Findings:
    """Return what each case contributes: the answer without it; of single challenges without the claims."""
    patches = case_patches(lab, named)
    large = [name for name in patches if not name.startswith("challenge ")]
    return run_changes(lab, patches, folder, where, claims=large, progress=progress)


def coding_patches(lab: Lab, named: Mapping[str, Patch]) -> dict[str, Patch]:
    """Return the named recodings, each indicator at its low and at its high, and each coder alone."""
    found = {name.replace("_", " "): patch for name, patch in named.items() if patch.kind == "coding"}
    readings = lab.data.indicators
    for name in lab.fit.spec.indicators:
        if (readings["indicator"] == name).any():
            for end in ("low", "high"):
                found[f"{name} at its {end}"] = Patch(readings={name: end})
    coders = readings.groupby("coder")["indicator"].nunique()
    return found | {f"coder {coder} alone": Patch(coder=coder) for coder in coders.index if len(coders) > 1}


# --- readings -----------------------------------------------------------------------------------------------------


def influential_readings(lab: Lab, count: int = 20, draws: int = 4000) -> pd.DataFrame:
    """Return the readings whose range moves P(coup) or P(revolution) most, to first order.

    A reading moved by one standard deviation of its range moves the posterior through the rows and challenges in which it
    is in force, and, if it is the present leader's last, the forecast itself.

    Returns
    -------
    pandas.DataFrame
        ``country``, ``indicator``, ``observed_on``, ``coder``, ``value``, ``low``, ``high``, ``coup`` and ``revolution`` (change of the
        probability if the reading goes up by a standard deviation of its range) and ``relative`` (the larger of both, over its
        probability).
    """
    small = thinned(lab.fit, draws)
    probabilities = flatten(predict(small, lab.data, lab.country, lab.horizon))[:, REMOVALS]
    centred = (probabilities - probabilities.mean(axis=0)) / len(probabilities)
    pulls = _row_pulls(small, centred)
    lines = [_reading_lines(lab, small, centred, pulls, name) for name in lab.fit.spec.indicators]
    table = pd.concat([line for line in lines if line is not None], ignore_index=True)
    relative = table[["coup", "revolution"]].abs().div(probabilities.mean(axis=0)).max(axis=1)
    order = table.assign(relative=relative).sort_values("relative", ascending=False, kind="stable")
    return order.head(count).reset_index(drop=True)


def _row_pulls(fitted: Fit, centred: Any) -> Any:
    """Return what one unit of each indicator in each row does to probabilities through the posterior (row x indicator x 2).

    The covariance of a probability with the slope of the row's log-likelihood; a log rate is linear in each indicator.
    """
    design, stages, parameters = fitted.design, build_stages(fitted.design, fitted.spec), stack_draws(fitted.posterior)
    index, wiring = row_index(design), stages.onset
    total = np.zeros((design.sizes["row"], design.sizes["indicator"], centred.shape[1]))
    for start in range(0, len(centred), BLOCK):
        block = {name: values[start : start + BLOCK] for name, values in parameters.items()}
        error = block.get("coding_error", np.zeros((len(block["beta"]), design.sizes["spell"], 0)))[:, index.spell]
        x = true_values(design["centre"].to_numpy(), design["spread"].to_numpy(), error, stages.latent)
        expected = design["exposure"].to_numpy()[:, None] * np.exp(log_hazard(block, x, index, stages))
        rest = design["events"].to_numpy() - expected
        weight = block["beta"][:, None, :] + block["group_slope"][:, index.group, :] @ stages.slope
        for effect, cause in enumerate(wiring.target.argmax(axis=1)):
            pull, ends = rest[..., cause] * weight[..., effect], (wiring.first[effect], wiring.second[effect])
            for one, other in (ends, ends[::-1]):
                total[:, one] += (pull * x[..., other]).T @ centred[start : start + BLOCK]
    return total


def _reading_lines(
    lab: Lab, small: Fit, centred: Any, pulls: Any, name: str, step: float = 0.05
) -> pd.DataFrame | None:
    """Return every reading of an indicator with what moving it does to two probabilities."""
    readings = lab.data.indicators[lab.data.indicators["indicator"] == name].reset_index(drop=True)
    if readings.empty:
        return None
    design, stages, parameters = small.design, build_stages(small.design, small.spec), stack_draws(small.posterior)
    place = list(design.indexes["indicator"]).index(name)
    up, down = (
        challenge_log_likelihood(parameters, read_challenges(_shifted(design, place, by)), stages)
        for by in (step, -step)
    )
    moves = {"row": pulls[:, place], "challenge": ((up - down) / (2 * step)).T @ centred}
    effect = np.zeros((len(readings), 2))
    for dim, moved in moves.items():
        owners, share = _in_force(readings, design[f"{dim}_country"].to_numpy(), _known(lab, design, dim))
        for owner in owners:
            used = owner >= 0
            np.add.at(effect, owner[used], (moved / share[:, None])[used])
    here, today = np.array([lab.country], dtype=object), np.array([np.datetime64(lab.data.known_to)])
    owners, share = _in_force(readings, here, today)
    direct = _direct(lab, small, place, step)
    for owner in owners:
        if owner[0] >= 0:
            effect[owner[0]] += direct / share[0]
    sd = ((readings["high"] - readings["low"]) / RANGE_SDS).to_numpy() / float(design["scale"].to_numpy()[place])
    columns = ["country", "indicator", "observed_on", "coder", "value", "low", "high"]
    return readings[columns].assign(coup=effect[:, 0] * sd, revolution=effect[:, 1] * sd)


def _shifted(design: xr.Dataset, place: int, by: float) -> xr.Dataset:
    moved = np.where(np.arange(design.sizes["indicator"]) == place, by, 0.0)
    return design.assign(challenge_centre=design["challenge_centre"] + xr.DataArray(moved, dims="indicator"))


def _known(lab: Lab, design: xr.Dataset, dim: str) -> Any:
    """Return the day whose readings are in force in each row or before each challenge."""
    lag = np.timedelta64(lab.fit.spec.onset.lag_days, "D")
    spells = lab.data.leaders.set_index("spell_id")["start"]
    if dim == "row":
        day = design["row_start"].to_numpy() - lag
    else:
        begun = lab.data.events.set_index("event_id")["start"].reindex(design["challenge_id"].to_numpy()).to_numpy()
        day = begun - max(lag, np.timedelta64(1, "D"))
    return np.maximum(day, spells.reindex(design[f"{dim}_spell"].to_numpy()).to_numpy())


def _in_force(readings: pd.DataFrame, countries: Any, days: Any) -> tuple[list[Any], Any]:
    """Return for each coder the place of the reading in force (-1: none), and how many coders share each place."""
    owners = []
    for coder in sorted(readings["coder"].unique()):
        owner = np.full(len(days), -1)
        for country, own in readings[readings["coder"] == coder].groupby("country"):
            here = np.flatnonzero(countries == country)
            ordered = own.sort_values("observed_on", kind="stable")
            last = (
                np.searchsorted(ordered["observed_on"].to_numpy(), days[here].astype("datetime64[s]"), side="right") - 1
            )
            owner[here] = np.where(last >= 0, ordered.index.to_numpy()[last], -1)
        owners.append(owner)
    return owners, np.maximum(np.sum([owner >= 0 for owner in owners], axis=0), 1)


def _direct(lab: Lab, small: Fit, place: int, step: float) -> Any:
    """Return what moving an indicator's latest value does to P(coup) and P(revolution), per unit of its scale."""
    question = ask(lab.data, lab.country, lab.horizon)
    outlook = look_ahead(small, lab.data, question)
    means = []
    for by in (step, -step):
        centre = outlook.centre.copy()
        centre[:, place] += by
        means.append(flatten(answer(small, replace(outlook, centre=centre), question)).mean(axis=0))
    return ((means[0] - means[1]) / (2 * step))[REMOVALS]
