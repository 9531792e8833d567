"""The track record: issued forecasts and other people's, resolved, scored beside each other, and shared as files.

Files are in the shape of a hub of the hubverse: ``model-output/TEAM-MODEL/DATE-TEAM-MODEL.csv`` with one row for each
outcome of a forecast (``output_type`` pmf), and ``target-data/oracle-output.csv`` with what came true.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast import scores
from forecast.data import Data, parse_day
from forecast.errors import DataError, Problem, UsageError
from forecast.files import write_atomically
from forecast.resolution import climatology, resolve
from forecast.schema import OUTCOMES

TEAM = "regime_forecast"
TARGET = "leader outcome"
QUESTION = ["country", "as_of", "horizon_end"]
TASK = {"country": "location", "as_of": "reference_date", "horizon_end": "target_end_date"}
HUB_COLUMNS = ("reference_date", "target_end_date", "location", "target", "output_type", "output_type_id", "value")
SUM_ERROR = 0.01  # of published probabilities that should add to one
SCORES = ("log_score", "brier_score", "ranked_probability_score")


def list_answers(ledger: Sequence[dict[str, str]]) -> pd.DataFrame:
    """Return one line per answer in a ledger: question, spec, and a probability for each outcome."""
    rows = pd.DataFrame(ledger)
    if rows.empty:
        return pd.DataFrame(columns=[*QUESTION, "leader", "horizon_months", "model", "issued_on", *OUTCOMES])
    rows = rows.assign(probability=rows["probability"].astype(float), model=rows["spec"])
    keys = [*QUESTION, "leader", "horizon_months", "model", "issued_on", "data_digest", "spec_digest", "version"]
    wide = rows.pivot(index=keys, columns="outcome", values="probability").reset_index()
    return wide[[*keys[:-3], *OUTCOMES]].sort_values([*QUESTION, "model", "issued_on"], ignore_index=True)


def resolve_answers(answers: pd.DataFrame, data: Data) -> pd.DataFrame:
    """Return answers with ``observed`` outcome, ``due``, and the ``reason`` why one has none."""
    found = [
        resolve(data, line.country, line.leader, parse_day(line.as_of), parse_day(line.horizon_end))
        for line in answers.itertuples()
    ]
    return answers.assign(
        observed=pd.Series([item.outcome for item in found], dtype="str"),
        due=[item.due for item in found],
        reason=[item.reason for item in found],
    )


def add_references(resolved: pd.DataFrame, data: Data, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the answers to questions that have an outcome, with climatology's and other people's answers to them."""
    ours = resolved[resolved["observed"].notna()]
    questions = ours.drop_duplicates(QUESTION)

    @cache
    def rates(country: str, as_of: str, months: int) -> dict[str, float]:
        return climatology(data.as_of(as_of), country, months)

    shares = [rates(line.country, line.as_of, int(line.horizon_months)) for line in questions.itertuples()]
    reference = questions.assign(model="climatology", **{name: [share[name] for share in shares] for name in OUTCOMES})
    tables = [ours, reference]
    if others is not None and len(others):
        shared = [*QUESTION, "observed", "leader", "horizon_months"]
        tables.append(others.merge(questions[shared], on=QUESTION))
    return pd.concat(tables, ignore_index=True)


def score_answers(answers: pd.DataFrame) -> pd.DataFrame:
    """Return answers with their losses: log and Brier over all outcomes, and ranked probability in their order.

    The order is that of `schema.OUTCOMES`, from removal by force to a quiet stay.
    """
    p = answers[list(OUTCOMES)].to_numpy(dtype=float)
    place = np.array([OUTCOMES.index(name) for name in answers["observed"]], dtype=int)
    happened = np.eye(len(OUTCOMES))[place]
    return answers.assign(
        log_score=scores.log_score(p[np.arange(len(p)), place], np.ones(len(p))),
        brier_score=scores.brier_score(p, happened).sum(axis=1),
        ranked_probability_score=scores.ranked_probability_score(p, place),
    )


def summarise_scores(scored: pd.DataFrame) -> pd.DataFrame:
    """Return the mean losses of each model, and its skill against climatology on the questions that it answered."""
    lines = {}
    reference = scored[scored["model"] == "climatology"].set_index(QUESTION)[list(SCORES)]
    for model, own in scored.groupby("model", sort=False):
        loss = own[list(SCORES)].mean()
        same = reference.loc[pd.MultiIndex.from_frame(own[QUESTION])].mean()
        gain = {f"{name}_skill": scores.skill(loss[name], same[name]) for name in SCORES}
        lines[model] = {"answers": len(own), **loss.to_dict(), **gain}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("model")


def write_hub(resolved: pd.DataFrame, folder: Path) -> list[Path]:
    """Write answers and what came true into a hub's folders; return the files.

    Of several answers to one question under one spec, the first one counts.
    """
    first = resolved.drop_duplicates([*QUESTION, "model"])
    written = []
    for (model, as_of), own in first.groupby(["model", "as_of"]):
        name = f"{TEAM}-{''.join(sign if sign.isalnum() else '_' for sign in model)}"
        path = folder / "model-output" / name / f"{as_of}-{name}.csv"
        write_atomically(path, _long(own, "value").to_csv(index=False))
        written.append(path)
    known = first[first["observed"].notna()].drop_duplicates(QUESTION)
    hits = pd.get_dummies(known["observed"]).reindex(columns=list(OUTCOMES), fill_value=0).astype(int)
    path = folder / "target-data" / "oracle-output.csv"
    write_atomically(path, _long(known.assign(**{name: hits[name] for name in OUTCOMES}), "oracle_value").to_csv(index=False))  # fmt: skip
    return [*written, path]


def _long(answers: pd.DataFrame, value: str) -> pd.DataFrame:
    table = answers[[*QUESTION, *OUTCOMES]].rename(columns=TASK)
    table = table.melt(list(TASK.values()), var_name="output_type_id", value_name=value, value_vars=list(OUTCOMES))
    table = table.assign(target=TARGET, output_type="pmf").sort_values(["location", "target_end_date"], kind="stable")
    return table[[*HUB_COLUMNS[:-1], value]]


def read_hub(folder: Path) -> pd.DataFrame:
    """Return other people's answers from a hub's model-output folder.

    Raises
    ------
    UsageError
        When there is no such folder.
    DataError
        When a file lacks a column, names an unknown outcome, or its probabilities do not add to one.
    """
    if not (folder / "model-output").is_dir():
        raise UsageError(f"{folder} has no model-output/; a hub has one folder in it for each model")
    files = [path for path in sorted(folder.glob("model-output/*/*.csv")) if not path.parent.name.startswith(f"{TEAM}-")]  # fmt: skip
    tables, problems = [], []
    for path in files:
        table, found = _read_answers(path)
        tables.append(table)
        problems += found
    if problems:
        raise DataError(problems)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*QUESTION, "model", *OUTCOMES])


def _read_answers(path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    rows = pd.read_csv(path, dtype="str", keep_default_na=False)
    if missing := [name for name in HUB_COLUMNS if name not in rows]:
        remedy = f"the header is {','.join(HUB_COLUMNS)}"
        return pd.DataFrame(), [Problem(path.name, 1, name, None, "the column is missing", remedy) for name in missing]
    rows = rows[(rows["target"] == TARGET) & (rows["output_type"] == "pmf")]
    problems = [*_unknown_outcomes(path, rows), *_bad_values(path, rows)]
    if problems:
        return pd.DataFrame(), problems
    rows = rows.assign(value=rows["value"].astype(float)).rename(columns={new: old for old, new in TASK.items()})
    for key, own in rows.groupby(QUESTION):
        if sorted(own["output_type_id"]) != sorted(OUTCOMES) or abs(own["value"].sum() - 1) > SUM_ERROR:
            message = f"the answer for {' '.join(key)} is not one probability for each outcome that add to 1"
            problems.append(Problem(path.name, int(own.index[0]) + 2, "value", None, message, "give every outcome once"))  # fmt: skip
    if problems:
        return pd.DataFrame(), problems
    wide = rows.pivot(index=QUESTION, columns="output_type_id", values="value").reset_index()
    return wide.assign(model=path.parent.name), []


def _unknown_outcomes(path: Path, rows: pd.DataFrame) -> list[Problem]:
    known = f"write one of {', '.join(OUTCOMES)}"
    bad = rows[~rows["output_type_id"].isin(OUTCOMES)]
    return [Problem(path.name, int(place) + 2, "output_type_id", name, "is no outcome", known) for place, name in bad["output_type_id"].items()]  # fmt: skip


def _bad_values(path: Path, rows: pd.DataFrame) -> list[Problem]:
    value = pd.to_numeric(rows["value"], errors="coerce")
    bad = rows[~((value >= 0) & (value <= 1))]
    return [Problem(path.name, int(place) + 2, "value", text, "is no probability", "write a number from 0 to 1") for place, text in bad["value"].items()]  # fmt: skip


def score_record(ledger: Sequence[dict[str, str]], data: Data, others: pd.DataFrame | None = None) -> dict[str, Any]:
    """Return the whole track record: ``answers`` with their resolution, ``scored``, ``summary`` and what is ``apart``."""
    resolved = resolve_answers(list_answers(ledger), data)
    scored = score_answers(add_references(resolved, data, others))
    apart = resolved[resolved["due"] & resolved["observed"].isna()]
    return {"answers": resolved, "scored": scored, "summary": summarise_scores(scored), "apart": apart}


def describe_record(ledger: Sequence[dict[str, str]], data: Data) -> dict[str, Any] | None:
    """Return in JSON values how the answers that were issued before the end of a view have done; None where there are none.

    Returns
    -------
    dict
        ``issued`` and ``scored`` answers, ``next_due`` (a day, or None), and ``models``: mean losses and skill, ours and climatology.
    """
    known = [row for row in ledger if row["as_of"] <= str(data.known_to)]
    if not known:
        return None
    found = score_record(known, data)
    later, scored = found["answers"][~found["answers"]["due"]], found["scored"]
    models = found["summary"].reset_index().to_dict("records") if len(scored) else []
    days = later["horizon_end"].astype("str")
    return {
        "issued": len(found["answers"]),
        "scored": len(scored[scored["model"] != "climatology"]),
        "next_due": days.min() if len(days) else None,
        "models": [{name: None if pd.isna(value) else value for name, value in line.items()} for line in models],
    }
