"""Probability reports: one set of numbers, written as HTML, Markdown and JSON.

The numbers are assembled once by `assemble`; the three files are views of that one dictionary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from forecast.claims import evaluate_claims
from forecast.data import Data
from forecast.explanation import base_rates, drivers, spread_shares
from forecast.files import digest, write_atomically
from forecast.inference import Fit
from forecast.plots import LABELS, plot_drivers, plot_incidence, plot_outcomes, plot_readings
from forecast.prediction import Forecast, Question, require_mixed, summarise, summarise_draws

FORMAT = 1
HISTORY_YEARS = 15
RESOLUTION = {
    "coup": "the leader loses office through an overt attempt by people inside the state apparatus",
    "revolution": "the leader loses office through a mass campaign, unarmed or armed, aimed at removal",
    "other_exit": "the spell ends in any other way: election, resignation by the rules, death, illness, foreign force",
    "survives_challenged": "the leader is in office on the last day, and a coup attempt or uprising began or went on before it",
    "survives_unchallenged": "the leader is in office on the last day, and no coup attempt or uprising began or went on before it",
}
LIMITS = (
    "Most indicators are judgements of coders, who could not wholly forget what came later.",
    "The coders' ranges are carried into the intervals; a hindsight that they share is not.",
    "No war, and no sanctions, are assumed to begin during the horizon where there are none today.",
    "Challenges that fail are assumed to leave the rates as they were.",
    "The interval is the spread of probabilities that the model holds possible, not a range for what will happen.",
    "Effects are associations in the historical record. They do not say what would follow if someone changed an indicator.",
)


def in_words(probability: float, low: float, high: float) -> str:
    """Return a probability as odds out of a hundred, with its 90% interval.

    Examples
    --------
    >>> in_words(0.0174, 0.001, 0.061)
    'about 2 in 100 (90% interval: under 1 to 6)'
    >>> in_words(0.002, 0.0001, 0.0042)
    'under 1 in 100 (90% interval: under 1 to under 1)'
    """
    return f"{_of_hundred(probability, 'about ')} in 100 (90% interval: {_of_hundred(low)} to {_of_hundred(high)})"


def _of_hundred(probability: float, about: str = "") -> str:
    if probability < 0.005:
        return "under 1"
    return "over 99" if probability > 0.995 else f"{about}{100 * probability:.0f}"


def assemble(fit: Fit, data: Data, forecast: Forecast) -> dict[str, Any]:
    """Return every number and text of a report as plain JSON values.

    Raises
    ------
    GateError
        When the fit, or a published probability, did not pass the diagnostics gate.
    """
    fit.require_gate()
    require_mixed(forecast, fit.spec.gate)
    question = forecast.question
    table = summarise(forecast)
    labels = {name: entry.label for name, entry in data.codebook.indicators.items()}
    return {
        "format": FORMAT,
        "question": {
            "country": question.country,
            "name": question.name,
            "leader": question.leader,
            "as_of": str(question.as_of),
            "horizon_months": question.horizon,
            "horizon_end": str(question.end),
            "settings": dict(question.settings),
            "text": f"Will {question.leader} of {question.name} be removed by a coup, removed by a revolution, leave in another "
            f"way, or stay in office until {question.end}?",
        },
        "outcomes": [
            {"outcome": outcome, "label": LABELS[str(outcome)], "rule": RESOLUTION[str(outcome)], **line, "words": in_words(line["probability"], line["p05"], line["p95"])}
            for outcome, line in table.to_dict("index").items()
        ],
        "attempts": _records(summarise_draws(forecast.attempt.isel(month=-1), "kind")),
        "incidence": _incidence(forecast),
        "base_rates": _records(base_rates(data, fit.design, question.group)),
        "drivers": _records(drivers(fit, data, question), labels),
        "shares": _records(spread_shares(fit, data, question)),
        "claims": _records(evaluate_claims(fit, data, forecast)),
        "challenges": _challenges(data, question.country),
        "readings": _readings(data, question.country, labels),
        "limits": list(LIMITS),
        "diagnostics": {"rhat": fit.diagnostics.rhat[0], "ess_bulk": fit.diagnostics.ess_bulk[0], "ess_tail": fit.diagnostics.ess_tail[0], "divergences": fit.diagnostics.divergences},
        "provenance": dict(forecast.provenance),
    }  # fmt: skip


def _records(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return a table as records with missing numbers as null."""
    flat = table.reset_index()
    if labels is not None:
        flat.insert(1, "label", flat["indicator"].map(labels))
    records: list[dict[str, Any]] = json.loads(flat.to_json(orient="records", double_precision=12))
    return records


def _incidence(forecast: Forecast) -> list[dict[str, Any]]:
    return [
        {
            "month": int(month),
            **{str(name): line for name, line in summarise(forecast, int(month)).to_dict("index").items()},
        }
        for month in forecast.probability["month"].to_numpy()
    ]


def _challenges(data: Data, country: str) -> list[dict[str, Any]]:
    own = data.events[data.events["country"] == country].sort_values("start", ascending=False)
    return [
        {"name": row.name, "kind": row.kind.replace("_", " "), "start": str(row.start.date()), "end": "" if pd.isna(row.end) else str(row.end.date()), "result": row.result}
        for row in own.rename(columns={"name": "title"}).assign(name=own["name"]).itertuples(index=False)
    ]  # fmt: skip


def _readings(data: Data, country: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    own = data.indicators[data.indicators["country"] == country].sort_values("observed_on")
    latest = own.drop_duplicates(["indicator", "coder"], keep="last")
    return [
        {"indicator": row.indicator, "label": labels[row.indicator], "coder": row.coder, "value": row.value, "low": row.low, "high": row.high, "observed_on": str(row.observed_on.date()), "basis": row.basis, "sources": row.sources}
        for row in latest.sort_values(["indicator", "coder"]).itertuples()
    ]  # fmt: skip


def figures(data: Data, forecast: Forecast, content: Mapping[str, Any]) -> dict[str, str]:
    """Return the report's figures as SVG."""
    labels = {name: entry.label for name, entry in data.codebook.indicators.items()}
    since = str(pd.Timestamp(forecast.question.as_of) - pd.DateOffset(years=HISTORY_YEARS))
    shown = pd.DataFrame(content["drivers"]).set_index("indicator")
    return {
        "outcomes": plot_outcomes(summarise(forecast)),
        "incidence": plot_incidence(forecast),
        "drivers": plot_drivers(shown, labels),
        "readings": plot_readings(data, forecast.question.country, since),
    }


def templates(folder: Path | None = None) -> jinja2.Environment:
    """Return the template environment: everything is escaped, and a missing value is an error."""
    loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("forecast", "templates")]
    if folder is not None:
        loaders.insert(0, jinja2.FileSystemLoader(folder))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: "-" if value is None else f"{100 * value:.1f}%"
    environment.filters["number"] = lambda value: "-" if value is None else f"{value:.2f}"
    environment.filters["cell"] = _markdown_cell
    return environment


def _markdown_cell(value: Any) -> str:
    """Return text that cannot break out of a Markdown table or become markup."""
    text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("[", "\\[").replace("]", "\\]")


@dataclass(frozen=True)
class Report:
    """A report ready to be saved: its numbers, and the page and text made from them."""

    content: dict[str, Any]
    page: str
    text: str


def report_path(reports: Path, question: Question) -> Path:
    """Return where the report of a question goes."""
    name = question.country if not question.settings else f"{question.country}-{digest(dict(question.settings))[:8]}"
    return reports / str(question.as_of) / f"{name}.html"


def report_key(fit: Fit, question: Question) -> str:
    """Return a digest of everything that a report is made from."""
    facts = fit.provenance
    claims = fit.spec.model_dump()["claims"]
    return digest([facts["data_digest"], facts["spec_digest"], facts["versions"], claims, vars(question), FORMAT])


def make_report(fit: Fit, data: Data, forecast: Forecast, template_folder: Path | None = None) -> Report:
    """Return the report of a forecast.

    Parameters
    ----------
    template_folder : Path, optional
        Templates of the same names in it take precedence.

    Raises
    ------
    GateError
        When the diagnostics gate is not met.
    """
    content = {**assemble(fit, data, forecast), "key": report_key(fit, forecast.question)}
    environment = templates(template_folder)
    page = environment.get_template("report.html.j2").render(**content, figures=figures(data, forecast, content))
    return Report(content, page, environment.get_template("report.md.j2").render(**content))


def save_report(report: Report, path: Path) -> None:
    """Write a report as HTML with its Markdown and JSON twins beside it."""
    write_atomically(path.with_suffix(".md"), report.text)
    write_atomically(path, report.page)
    write_atomically(path.with_suffix(".json"), json.dumps(report.content, indent=1, ensure_ascii=False) + "\n")


def write_report(fit: Fit, data: Data, forecast: Forecast, path: Path, template_folder: Path | None = None) -> Report:
    """Make and save the report of a forecast; nothing is written when the gate is not met."""
    report = make_report(fit, data, forecast, template_folder)
    save_report(report, path)
    return report


def read_twin(path: Path) -> dict[str, Any]:
    """Return the numbers of the report at a path."""
    content: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return content


def is_current(fit: Fit, question: Question, path: Path) -> bool:
    """Return whether the report at a path is whole and was made from the same fit, question and version."""
    if not all(path.with_suffix(suffix).exists() for suffix in (".html", ".md", ".json")):
        return False
    try:
        twin = read_twin(path)
    except ValueError:  # not JSON, or not even text
        return False
    return isinstance(twin, dict) and twin.get("key") == report_key(fit, question)
