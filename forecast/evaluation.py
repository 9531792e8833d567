"""How good the forecasts were: score tables of all models on the same rows, and the page that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import forecast
from forecast import scores
from forecast.backtest import COUNTRY_OUTCOMES, ROW, Backtest
from forecast.data import Data
from forecast.engine import Failure
from forecast.errors import DataError, Problem, UsageError
from forecast.files import write_atomically
from forecast.pages import templates
from forecast.plots import plot_calibrations, plot_counts, plot_separations
from forecast.spec import Spec

RESULT = "coup_result"  # no attempt < attempts that failed < success: the ordered outcome of a year
LOSSES = {"log_score": scores.log_score, "brier": scores.brier_score}
RANKS = {"auc": scores.area_under_curve, "average_precision": scores.average_precision}
EVERYTHING = "all"  # the rows that ours and every baseline have
OUTCOME_LABELS = {
    "coup_attempt": "Coup attempt", "coup_success": "Successful coup", "coup_failed": "Failed coup", "uprising": "Onset of an uprising",
    "uprising_removal": "Removal by an uprising", RESULT: "Result of the year's coup attempts",
}  # fmt: skip
RULES = {
    "coup_attempt": "at least one coup attempt begins in the country in the calendar year",
    "coup_success": "one that begins in the year removes the leader",
    "coup_failed": "one that begins in the year does not; both may happen in one year",
    "uprising": "at least one uprising begins in the year (one that goes on against a successor does not begin)",
    "uprising_removal": "an uprising that removed the leader ends in the year, or a leader leaves by a revolution",
    RESULT: "no attempt, attempts that failed, or one that succeeded; scored by the ranked probability score",
}
SCORE_COLUMNS = [
    "rows", "outcome", "model", "score", "value", "low", "high", "gain", "gain_low", "gain_high", "skill", "skill_low", "skill_high",
    "forecasts", "countries", "events",
]  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """Ours beside other models.

    Attributes
    ----------
    ours : str
        Name of our model in the tables.
    forecasts : pandas.DataFrame
        ``model``, country, target_year, outcome, ``probability``, ``observed``: what is known of every model.
    scores : pandas.DataFrame
        The columns of `SCORE_COLUMNS`. `rows` names the common rows; a gain is how much better ours is than the
        model on that score, and skill the share of the model's loss that ours saves; intervals are 90%, from whole
        countries drawn again.
    counts : pandas.DataFrame
        Rows, expected and observed events by model, outcome and year, with ours' 90% interval.
    """

    ours: str
    forecasts: pd.DataFrame
    scores: pd.DataFrame
    counts: pd.DataFrame


def evaluate(
    ours: str, result: Backtest, others: pd.DataFrame | None, outside: Mapping[str, pd.DataFrame]
) -> Evaluation:
    """Return the scores of our forecasts, the baselines and outside tables, on rows that they share.

    Parameters
    ----------
    ours : str
        What our model is called.
    result : Backtest
    others : pandas.DataFrame, optional
        The baselines' table.
    outside : mapping of name to table
        As `read_outside` returns them; each is compared on the rows that it shares with ours.

    Raises
    ------
    UsageError
        When an outside table shares no row with ours.
    """
    known = result.table.dropna(subset=["observed"])
    baselines = {} if others is None else dict(iter(others.groupby("model", sort=False)))
    parts = {ours: known, **baselines, **outside}
    observed = known[[*ROW, "observed"]]
    forecasts = pd.concat(
        [part[[*ROW, "probability"]].merge(observed, on=ROW).assign(model=name) for name, part in parts.items()]
    )
    for name in outside:
        if not (forecasts["model"] == name).any():
            raise UsageError(f"{name} has no country, year and outcome that ours has too, so nothing can be compared")
    inside = [name for name in parts if name not in outside]
    sets = {EVERYTHING: inside, **{name: [*inside, name] for name in outside}}
    found = [_score_rows(name, forecasts[forecasts["model"].isin(models)], ours) for name, models in sets.items()]
    counts = scores.count_events(forecasts, ["model", "outcome", "target_year"])
    bounds = (
        result.counts.assign(model=ours)
        if len(result.counts)
        else pd.DataFrame(columns=["model", *ROW[1:], "p05", "p95"])
    )
    return Evaluation(
        ours=ours,
        forecasts=forecasts[["model", *ROW, "probability", "observed"]].reset_index(drop=True),
        scores=pd.DataFrame([line for lines in found for line in lines], columns=SCORE_COLUMNS),
        counts=counts.merge(bounds, on=["model", *ROW[1:]], how="left"),
    )


def _score_rows(rows: str, forecasts: pd.DataFrame, ours: str) -> list[dict[str, Any]]:
    """Return the score lines of some models on the rows that all of them have."""
    lines = []
    wide = forecasts.pivot(index=ROW, columns="model", values="probability").dropna()
    wide = wide[list(dict.fromkeys(forecasts["model"]))]
    happened = forecasts.drop_duplicates(ROW).set_index(ROW)["observed"].reindex(wide.index).astype(float)
    for outcome in COUNTRY_OUTCOMES:
        if outcome in wide.index.get_level_values("outcome"):
            own, o = wide.xs(outcome, level="outcome"), happened.xs(outcome, level="outcome").to_numpy()
            lines += _score_outcome({"rows": rows, "outcome": outcome}, own, o, ours)
    return lines + _score_result({"rows": rows, "outcome": RESULT}, wide, happened, ours)


def _score_outcome(fixed: dict[str, Any], wide: pd.DataFrame, observed: Any, ours: str) -> list[dict[str, Any]]:
    countries = wide.index.get_level_values("country")
    weight = scores.resample_countries(countries)
    fixed = {**fixed, "forecasts": len(wide), "countries": countries.nunique(), "events": int(observed.sum())}
    lines = []
    for name, loss in LOSSES.items():
        losses = {model: loss(wide[model], observed) for model in wide}
        lines += _loss_lines({**fixed, "score": name}, losses, weight, ours)
    for name, rank in RANKS.items():
        values = {model: float(rank(wide[model], observed)) for model in wide}
        drawn = {model: rank(wide[model], observed, weight) for model in wide}
        lines += [
            {**fixed, "score": name, "model": model, "value": values[model], **_ends(drawn[model]),
             **(_gain(values[ours] - values[model], drawn[ours] - drawn[model]) if model != ours else {})}
            for model in wide
        ]  # fmt: skip
    for model in wide:
        parts = {"expected": float(wide[model].sum()), **scores.decompose(wide[model], observed)}
        lines += [{**fixed, "score": name, "model": model, "value": value} for name, value in parts.items()]
    return lines


def _score_result(fixed: dict[str, Any], wide: pd.DataFrame, happened: pd.Series, ours: str) -> list[dict[str, Any]]:
    """Return the ranked probability scores of models that forecast attempts and successes."""
    both = (
        wide.unstack("outcome")
        .reindex(columns=pd.MultiIndex.from_product([wide.columns, COUNTRY_OUTCOMES[:2]]))
        .dropna()
    )
    if both.empty:
        return []
    seen = happened.unstack("outcome").loc[both.index]
    category = (seen["coup_attempt"] + seen["coup_success"]).to_numpy(dtype=int)
    losses = {model: scores.ranked_probability_score(_three(both[model]), category) for model in wide}
    countries = both.index.get_level_values("country")
    facts = {
        "score": "ranked_probability",
        "forecasts": len(both),
        "countries": countries.nunique(),
        "events": int((category > 0).sum()),
    }
    return _loss_lines({**fixed, **facts}, losses, scores.resample_countries(countries), ours)


def _three(probability: pd.DataFrame) -> Any:
    """Return P(no attempt), P(failed attempts only), P(success); a success that is likelier than an attempt is cut to it."""
    attempt = probability["coup_attempt"].to_numpy()
    success = np.minimum(probability["coup_success"].to_numpy(), attempt)
    return np.column_stack([1.0 - attempt, attempt - success, success])


def _loss_lines(fixed: dict[str, Any], losses: Mapping[str, Any], weight: Any, ours: str) -> list[dict[str, Any]]:
    lines, own = [], scores.mean_over(weight, losses[ours])
    for model, loss in losses.items():
        drawn = scores.mean_over(weight, loss)
        line = {**fixed, "model": model, "value": float(loss.mean()), **_ends(drawn)}
        if model != ours:
            line |= _gain(float((loss - losses[ours]).mean()), drawn - own)
            line |= {
                "skill": float(scores.skill(losses[ours].mean(), loss.mean())),
                **_ends(scores.skill(own, drawn), "skill_"),
            }
        lines.append(line)
    return lines


def _ends(drawn: Any, prefix: str = "") -> dict[str, float]:
    low, high = scores.interval(drawn)
    return {f"{prefix}low": low, f"{prefix}high": high}


def _gain(value: float, drawn: Any) -> dict[str, float]:
    return {"gain": value, **_ends(drawn, "gain_")}


def read_outsides(paths: Sequence[Path], countries: pd.DataFrame, taken: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return outside tables by the names of their files.

    Raises
    ------
    UsageError
        When two models would have one name.
    """
    found: dict[str, pd.DataFrame] = {}
    for path in paths:
        if path.stem in (*taken, *found, EVERYTHING):
            raise UsageError(f"{path}: another model is called {path.stem}; give the file another name")
        found[path.stem] = read_outside(path, countries)
    return found


def read_outside(path: Path, countries: pd.DataFrame) -> pd.DataFrame:
    """Read an outside forecast table and return it under our countries' codes.

    Parameters
    ----------
    path : Path
        CSV with ``country`` (ISO 3166 code or Gleditsch-Ward number), ``target_year``, ``outcome`` and ``probability``;
        other columns are left alone.
    countries : pandas.DataFrame
        ``country`` and ``gw_code`` of every state of the study.

    Raises
    ------
    DataError
        Naming every row at fault.
    UsageError
        When the file cannot be read.
    """
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a table: {error}") from None
    if absent := [name for name in (*ROW, "probability") if name not in raw]:
        remedy = f"name the columns {', '.join((*ROW, 'probability'))}; it has {', '.join(raw.columns)}"
        raise DataError([Problem(path.name, None, name, None, "the column is missing", remedy) for name in absent])
    numbers = countries.drop_duplicates("gw_code").set_index("gw_code")["country"]
    outside = pd.DataFrame({
        "country": raw["country"].where(~raw["country"].str.fullmatch(r"\d+(\.0)?"), raw["country"].str.removesuffix(".0").map(numbers)),
        "target_year": pd.to_numeric(raw["target_year"], errors="coerce"),
        "outcome": raw["outcome"],
        "probability": pd.to_numeric(raw["probability"], errors="coerce"),
    })  # fmt: skip
    if problems := _outside_problems(path.name, raw, outside):
        raise DataError(problems)
    return outside.dropna(subset=["country"]).astype({"target_year": int}).reset_index(drop=True)


def _outside_problems(file: str, raw: pd.DataFrame, outside: pd.DataFrame) -> list[Problem]:
    """Return what is wrong with an outside table; a country that is not in the study is not wrong."""
    year = outside["target_year"]
    rules = {
        "country": (~raw["country"].str.fullmatch(r"[A-Z]{3}|\d+(\.0)?"), "is no country code", "write an ISO 3166 code or a Gleditsch-Ward number"),
        "target_year": (year.isna() | (year % 1 != 0), "is not a year", "write the calendar year that the forecast is about"),
        "outcome": (~raw["outcome"].isin(COUNTRY_OUTCOMES), "is not an outcome", f"write one of {', '.join(COUNTRY_OUTCOMES)}"),
        "probability": (~outside["probability"].between(0, 1), "is not a probability", "write a number from 0 to 1"),
    }  # fmt: skip
    found = [
        Problem(file, int(row) + 2, column, raw[column].iloc[row], message, remedy)
        for column, (wrong, message, remedy) in rules.items()
        for row in np.flatnonzero(wrong)
    ]
    twice = np.flatnonzero(outside.duplicated(ROW) & outside["country"].notna())
    return found + [
        Problem(file, int(row) + 2, "country", raw["country"].iloc[row], "has two forecasts of one year and outcome", "keep one of the rows")
        for row in twice
    ]  # fmt: skip


def write_tables(out: Path, result: Backtest, others: pd.DataFrame | None) -> None:
    """Write our forecasts, and the baselines' beside them."""
    if others is not None:
        write_atomically(out.with_suffix(".baselines.csv"), others.to_csv(index=False))
    write_atomically(out, result.table.to_csv(index=False))


def write_evaluation(out: Path, evaluation: Evaluation, facts: Mapping[str, Any]) -> Path:
    """Write score and count tables, and the page, beside the forecasts; return the page's path.

    Parameters
    ----------
    out : Path
        The forecasts' file.
    evaluation : Evaluation
    facts : mapping
        As `describe_backtest` returns them.
    """
    write_atomically(out.with_suffix(".scores.csv"), evaluation.scores.to_csv(index=False, float_format="%.6g"))
    write_atomically(out.with_suffix(".counts.csv"), evaluation.counts.to_csv(index=False, float_format="%.6g"))
    environment = templates()
    environment.filters |= {"score": "{:.4f}".format, "rank": "{:.2f}".format}
    page = environment.get_template("backtest.html.j2").render(**_page_content(evaluation), **facts)
    write_atomically(out.with_suffix(".html"), page)
    return out.with_suffix(".html")


def describe_backtest(
    data: Data, spec: Spec, result: Backtest, failures: Sequence[Failure], command: str
) -> dict[str, Any]:
    """Return what the page says of a run beside its scores."""
    return {
        "title": data.codebook.study.title,
        "spec": spec.name,
        "origins": sorted(result.table["origin"].unique()),
        "fits": result.fits,
        "failures": failures,
        "command": command,
        "provenance": {
            "data": data.digest,
            "known to": data.known_to,
            "spec": spec.digest,
            "version": forecast.__version__,
        },
    }


def _page_content(evaluation: Evaluation) -> dict[str, Any]:
    own = evaluation.forecasts[evaluation.forecasts["model"] == evaluation.ours]
    outcomes = [name for name in COUNTRY_OUTCOMES if name in set(own["outcome"])]
    by_outcome = {OUTCOME_LABELS[name]: own[own["outcome"] == name] for name in outcomes}
    pairs = {
        label: (part["probability"].to_numpy(), part["observed"].to_numpy(dtype=int))
        for label, part in by_outcome.items()
    }
    counts = evaluation.counts[evaluation.counts["model"] == evaluation.ours]
    return {
        "ours": evaluation.ours,
        "sets": _tables(evaluation.scores),
        "summary": summarise(evaluation),
        "best": list(summarise(evaluation).min()),
        "labels": OUTCOME_LABELS,
        "rules": RULES,
        "clip": scores.CLIP,
        "figures": {
            "calibration": plot_calibrations({label: scores.draw_calibration(*pair) for label, pair in pairs.items()}),
            "separation": plot_separations({label: scores.separate(*pair) for label, pair in pairs.items()}),
            "counts": plot_counts({OUTCOME_LABELS[name]: counts[counts["outcome"] == name] for name in outcomes}),
        } if outcomes else {},
    }  # fmt: skip


def _tables(table: pd.DataFrame) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the score lines by common rows, outcome and model, for the page."""
    sets: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (rows, outcome, _), lines in table.groupby(["rows", "outcome", "model"], sort=False):
        entry = {str(line["score"]): line for line in lines.to_dict("records")}
        sets.setdefault(str(rows), {}).setdefault(str(outcome), []).append({"model": lines["model"].iloc[0], **entry})
    return sets


def summarise(evaluation: Evaluation) -> pd.DataFrame:
    """Return the log score of every model by outcome, on the rows that ours and every baseline have."""
    table = evaluation.scores
    table = table[(table["score"] == "log_score") & (table["rows"] == EVERYTHING)]
    wide = table.pivot(index="model", columns="outcome", values="value")
    return wide.reindex(index=table["model"].unique(), columns=table["outcome"].unique())
