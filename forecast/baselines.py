"""What simple and usual models would have said at each origin, from what was known then.

The statistical ones see the same indicators as the model: for each country in the frame at the end of each past
year, the values as they were known that day, and what is known at the origin of the year that followed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecast
from forecast.backtest import COLUMNS, COUNTRY_OUTCOMES, list_moments, list_states, look_up
from forecast.data import Data
from forecast.design import measure
from forecast.engine import Failure, Job, Where, read_result, run_jobs
from forecast.spec import Spec

FORMAT = 1  # of the kept results; raise it when the same job would give other numbers
COUNTING = ("climatology", "climatology_10", "persistence")
LEARNING = ("logit", "random_forest", "boosting")
RECENT, LATELY = 10, 5  # years that climatology_10 and persistence look back on
BORROWED = 50.0  # country-years at the ten-year rate that a group's own years are added to
PENALTY = 0.1  # inverse strength of the logit's ridge, on standardised features
Predict = Callable[[pd.DataFrame, Any, pd.DataFrame, int], Any]


def available() -> tuple[str, ...]:
    """Return the names of the baselines that can be computed here; the learning ones need scikit-learn."""
    return COUNTING + (LEARNING if find_spec("sklearn") else ())


def run_baselines(
    data: Data,
    spec: Spec,
    origins: Sequence[date],
    folder: Path,
    where: Where | None = None,
    *,
    progress: bool = False,
) -> tuple[pd.DataFrame, list[Failure]]:
    """Return every baseline's forecasts at every origin, in the form of the backtest's table, and the failures.

    Parameters
    ----------
    data, spec, origins, folder, where, progress
        As for `backtest.run_backtest`.

    Returns
    -------
    table : pandas.DataFrame
        The columns of the backtest's table after ``model``; intervals are empty.
    failures : list of Failure
    """
    jobs = [baseline_job(data, spec, origin) for origin in origins]
    needed = any(read_result(folder, job) is None for job in jobs)
    features = collect_features(data, spec, max(origins)) if needed else None
    results, failures = run_jobs(forecast_baselines, jobs, folder, (data, spec, features), where, progress=progress)
    rows = pd.DataFrame([row for job in jobs for row in results.get(job.key, [])])
    if rows.empty:
        return pd.DataFrame(columns=["model", *COLUMNS]), failures
    table = rows.assign(
        observed=look_up(data.in_frames(spec.frames), rows), **dict.fromkeys(("p05", "p25", "p75", "p95"), np.nan)
    )
    return table[["model", *COLUMNS]], failures


def baseline_job(data: Data, spec: Spec, origin: date) -> Job:
    """Return the job of an origin's baselines."""
    facts = {
        "what": f"baselines {FORMAT}", "origin": str(origin), "data": data.as_of(origin).digest, "models": list(available()),
        "frames": list(spec.frames), "indicators": list(spec.indicators), "version": forecast.__version__,
    }  # fmt: skip
    return Job(f"baselines {origin}", facts)


def collect_features(data: Data, spec: Spec, last: date) -> pd.DataFrame:
    """Return what was known at the end of each year of each country in the frame then.

    Returns
    -------
    pandas.DataFrame
        ``country``, ``gw_code``, ``name``, ``group``, ``target_year`` (the year after) and one column per indicator
        of the spec, in the codebook's units, NaN where there is no reading.
    """
    view, years = data.as_of(last), []
    first = data.in_frames(spec.frames).leaders["start"].min().year
    for year in range(
        last.year, first - 1, -1
    ):  # each view is taken from the one after it, which is smaller than the whole
        view = view.as_of(date(year, 12, 31))
        years.append(_features_of(view.in_frames(spec.frames), spec))
    return pd.concat(years[::-1], ignore_index=True)


def _features_of(view: Data, spec: Spec) -> pd.DataFrame:
    states = list_states(view)
    moments = list_moments(view, states, 1)
    values = {name: measure(view, name, moments)[0] for name in spec.indicators}
    return states.reset_index()[["country", "gw_code", "name", "group"]].assign(
        target_year=view.known_to.year + 1, **values
    )


def forecast_baselines(shared: tuple[Data, Spec, pd.DataFrame], job: Job) -> list[dict[str, Any]]:
    """Return the baselines' forecasts at an origin as plain rows; each model is fitted to each outcome."""
    data, spec, features = shared
    view = data.as_of(job.facts["origin"]).in_frames(spec.frames)
    target = view.known_to.year + 1
    past, now = features[features["target_year"] < target], features[features["target_year"] == target]
    rows = []
    for outcome in COUNTRY_OUTCOMES:
        happened = look_up(view, past.assign(outcome=outcome)).astype(float)
        known = happened.notna()
        for model in job.facts["models"]:
            probability = _PREDICT[model](past[known], happened[known].to_numpy(), now, job.seed)
            rows += [
                {"model": model, "country": line.country, "gw_code": line.gw_code, "name": line.name, "origin": job.facts["origin"],
                 "target_year": target, "outcome": outcome, "probability": float(f"{p:.6g}")}
                for line, p in zip(now.itertuples(), probability, strict=True)
            ]  # fmt: skip
    return rows


def _rate(happened: Any) -> float:
    """Return the frequency of an event, half an event added to either side so that it is never 0 or 1."""
    return float((np.sum(happened) + 0.5) / (len(happened) + 1.0))


def climatology(_past: pd.DataFrame, happened: Any, now: pd.DataFrame, _seed: int) -> Any:
    """Return the frequency over all past country-years."""
    return np.full(len(now), _rate(happened))


def climatology_10(past: pd.DataFrame, happened: Any, now: pd.DataFrame, _seed: int) -> Any:
    """Return the frequency over the last ten years."""
    recent = (past["target_year"] >= now["target_year"].max() - RECENT).to_numpy()
    return np.full(len(now), _rate(happened[recent]))


def persistence(past: pd.DataFrame, happened: Any, now: pd.DataFrame, seed: int) -> Any:
    """Return each group's frequency in the last five years, fifty country-years at the ten-year rate added."""
    rate = climatology_10(past, happened, now, seed)
    lately = (past["target_year"] >= now["target_year"].max() - LATELY).to_numpy()
    own = pd.Series(happened[lately]).groupby(past["group"].to_numpy()[lately]).agg(["sum", "size"])
    own = own.reindex(now["group"], fill_value=0.0).to_numpy()
    return (own[:, 0] + BORROWED * rate) / (own[:, 1] + BORROWED)


def _learnt(make: Callable[[int], Any]) -> Predict:
    def predict(past: pd.DataFrame, happened: Any, now: pd.DataFrame, seed: int) -> Any:
        if happened.min(initial=1) == happened.max(initial=0):  # nothing to tell apart
            return climatology(past, happened, now, seed)
        x = _numbers(pd.concat([past, now]))
        x = x[:, ~np.isnan(x[: len(past)]).all(axis=0)]
        return make(seed).fit(x[: len(past)], happened).predict_proba(x[len(past) :])[:, 1]

    return predict


def _numbers(features: pd.DataFrame) -> Any:
    """Return features as numbers: the indicators, the year, and one column per group."""
    plain = features.drop(columns=["country", "gw_code", "name", "group"])
    return np.column_stack([plain.to_numpy(dtype=float), pd.get_dummies(features["group"]).to_numpy(dtype=float)])


def _logit(_seed: int) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    filled = SimpleImputer(strategy="median", add_indicator=True)
    return make_pipeline(filled, StandardScaler(), LogisticRegression(C=PENALTY, max_iter=5000))


def _random_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(500, min_samples_leaf=5, max_features="sqrt", random_state=seed)


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.03, max_iter=150, max_leaf_nodes=8, min_samples_leaf=20, random_state=seed
    )


_PREDICT: dict[str, Predict] = {
    "climatology": climatology,
    "climatology_10": climatology_10,
    "persistence": persistence,
    "logit": _learnt(_logit),
    "random_forest": _learnt(_random_forest),
    "boosting": _learnt(_boosting),
}
