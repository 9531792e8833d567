"""Probability reports: one set of numbers, and the page, the text and the figures made from it.

`assemble` puts the numbers together once, as plain JSON values; everything that is shown is a view of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast import drawing
from forecast.changes import NOISE, Parts, explain_issue
from forecast.claims import evaluate_claims
from forecast.data import Data
from forecast.drawing import LABELS, of_hundred
from forecast.explanation import base_rates, drivers, nearest_analogues, spread_shares, swings, what_followed
from forecast.explorer import build_explorer
from forecast.files import digest, write_atomically
from forecast.inference import Fit
from forecast.pages import points, templates
from forecast.prediction import Forecast, Question, latest_value, require_mixed, summarise, summarise_draws
from forecast.schema import OUTCOMES

FORMAT = 2
HISTORY_YEARS = 15
NOTICED = 0.0005  # a smaller change is shown as none
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
Issues = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Past:
    """What was issued before.

    Attributes
    ----------
    issues : sequence of mapping
        About the same question (`ledger.issues_before`); the last one may have ``causes``, what `changes.explain_issue` returned.
    record : dict, optional
        How all issued forecasts have done (`track_record.describe_record`).
    """

    issues: Issues = ()
    record: dict[str, Any] | None = None


NOTHING = Past()


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


def one_in(probability: float) -> str:
    """Return a probability as one chance in so many, to two digits.

    Examples
    --------
    >>> one_in(0.0142), one_in(0.86), one_in(0.997), one_in(0.000002)
    ('1 in 70', '86 in 100', 'over 99 in 100', 'under 1 in 10,000')
    """
    if probability < 0.0001:
        return "under 1 in 10,000"
    if probability >= 0.15:
        return f"{_of_hundred(probability)} in 100"
    return f"1 in {int(float(f'{1 / probability:.2g}')):,}"


def assemble(fit: Fit, data: Data, forecast: Forecast, past: Past = NOTHING) -> dict[str, Any]:
    """Return every number and text of a report as plain JSON values.

    Parameters
    ----------
    past : Past

    Raises
    ------
    GateError
        When the fit, or a published probability, did not pass the diagnostics gate.
    """
    fit.require_gate()
    require_mixed(forecast, fit.spec.gate)
    question = forecast.question
    labels = {name: entry.label for name, entry in data.codebook.indicators.items()}
    outcomes, stay = _outcomes(forecast), _in_office(forecast)
    history = [*past.issues, _this_issue(question, outcomes)]
    return {
        "format": FORMAT,
        "question": _question(question),
        "verdict": _verdict(question, outcomes, stay, forecast),
        "outcomes": outcomes,
        "in_office": stay,
        "attempts": _records(summarise_draws(forecast.attempt.isel(month=-1), "kind")),
        "incidence": _incidence(forecast),
        "base_rates": _base_rates(data, fit, question),
        "change": _change(history, _causes(fit, data, forecast, past.issues, labels)),
        "history": [_shown(issue, str(question.as_of)) for issue in history],
        "drivers": _records(drivers(fit, data, question), labels),
        "swings": _records(swings(fit, data, question), labels),
        "analogues": _analogues(fit, data, question, labels),
        "shares": _records(spread_shares(fit, data, question)),
        "claims": _records(evaluate_claims(fit, data, forecast)),
        "track_record": past.record,
        "challenges": list_challenges(data, question.country),
        "readings": _readings(data, question.country, labels),
        "reading_history": reading_history(data, question.country, _since(question.as_of), str(question.as_of)),
        "limits": list(LIMITS),
        "diagnostics": {"rhat": fit.diagnostics.rhat[0], "ess_bulk": fit.diagnostics.ess_bulk[0], "ess_tail": fit.diagnostics.ess_tail[0], "divergences": fit.diagnostics.divergences},
        "provenance": dict(forecast.provenance),
        "reproduce": reproduce(question, forecast.provenance["spec"]),
    }  # fmt: skip


def reproduce(question: Question, spec: str) -> str:
    """Return the command that makes a report again."""
    settings = "".join(f" --set {name}={value:g}" for name, value in question.settings.items())
    model = "" if spec == "default" else f" --spec {spec}"
    return f"forecast report --country {question.country} --as-of {question.as_of} --horizon {question.horizon}{model}{settings}"


def _question(question: Question) -> dict[str, Any]:
    return {
        "country": question.country,
        "name": question.name,
        "leader": question.leader,
        "as_of": str(question.as_of),
        "horizon_months": question.horizon,
        "horizon_end": str(question.end),
        "settings": dict(question.settings),
        "title": f"Will {question.leader} still lead {question.name} on {_day(question.end)}?",
        "text": f"Will {question.leader} of {question.name} be removed by a coup, removed by a revolution, leave in another "
        f"way, or stay in office until {question.end}?",
    }


def _day(day: Any) -> str:
    return f"{day.day} {day:%B} {day.year}"


def _outcomes(forecast: Forecast) -> list[dict[str, Any]]:
    table = summarise(forecast)
    counts = of_hundred(table["probability"].to_dict())
    return [
        {
            "outcome": outcome, "label": LABELS[str(outcome)], "rule": RESOLUTION[str(outcome)], **line,
            "words": in_words(line["probability"], line["p05"], line["p95"]), "one_in": one_in(line["probability"]), "of_hundred": counts[outcome],
        }
        for outcome, line in table.to_dict("index").items()
    ]  # fmt: skip


def _in_office(forecast: Forecast) -> dict[str, Any]:
    draws = forecast.probability.isel(month=-1).sel(outcome=["survives_challenged", "survives_unchallenged"])
    flat = draws.sum("outcome").to_numpy().ravel()
    levels = zip(("p05", "p25", "p75", "p95"), np.quantile(flat, [0.05, 0.25, 0.75, 0.95]), strict=True)
    middle = float(flat.mean())
    return {"probability": middle, **{name: float(value) for name, value in levels}, "one_in": one_in(middle)}


def _verdict(
    question: Question, outcomes: list[dict[str, Any]], stay: Mapping[str, Any], forecast: Forecast
) -> dict[str, Any]:
    """Return the verdict: sentences of numbers that claim no more than the intervals do."""
    coup, revolution = outcomes[0], outcomes[1]
    end = forecast.probability.isel(month=-1)
    first = float((end.sel(outcome="coup") > end.sel(outcome="revolution")).mean())
    if 0.05 <= first <= 0.95:
        order = f"Which of the two is likelier is open: a coup in {100 * first:.0f}% of the model's draws, a revolution in the others."
    else:
        order = (
            f"A {'coup' if first > 0.5 else 'revolution'} is the likelier of the two in over 95% of the model's draws."
        )
    return {
        "sentence": f"In {_of_hundred(stay['probability'], 'about ')} of 100 futures (90% interval: {_of_hundred(stay['p05'])} to {_of_hundred(stay['p95'])}) "
        f"{question.leader} is in office on {_day(question.end)}.",
        "removal": f"Removed by a revolution: {revolution['words']}. By a coup: {coup['words']}.",
        "order": order,
        "coup_over_revolution": first,
    }  # fmt: skip


def _records(table: pd.DataFrame, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return a table as records with missing numbers as null."""
    flat = table.reset_index()
    if labels is not None:
        flat.insert(1, "label", flat["indicator"].map(labels))
    records: list[dict[str, Any]] = json.loads(flat.to_json(orient="records", double_precision=12))
    return records


def _incidence(forecast: Forecast) -> list[dict[str, Any]]:
    """Return the summary of every month; one sort for all of them."""
    draws = forecast.probability.stack(sample=("chain", "draw")).transpose("sample", "month", "outcome").to_numpy()
    levels = np.concatenate([draws.mean(axis=0)[None], np.quantile(draws, [0.05, 0.25, 0.75, 0.95], axis=0)])
    names, outcomes = ("probability", "p05", "p25", "p75", "p95"), forecast.probability["outcome"].to_numpy()
    return [
        {
            "month": month + 1,
            **{str(o): dict(zip(names, levels[:, month, at].tolist(), strict=True)) for at, o in enumerate(outcomes)},
        }
        for month in range(draws.shape[1])
    ]


def _base_rates(data: Data, fit: Fit, question: Question) -> list[dict[str, Any]]:
    """Return removals in the reference classes, by leader-year and over as long as the horizon."""
    lines = _records(base_rates(data, fit.design, question.group))
    at_war = "war_burden" in data.codebook.indicators and latest_value(data, question, "war_burden") > 0
    for line in lines:
        line["applies"] = line["reference class"] != "leaders at war" or at_war
        for kind, count in (("coup", line["coups"]), ("revolution", line["revolutions"])):
            rate = count / line["leader-years"] if line["leader-years"] else None
            line[f"{kind}_per_100"] = None if rate is None else 100 * rate
            line[f"{kind}_over_horizon"] = None if rate is None else float(-np.expm1(-rate * question.horizon / 12))
    return lines


def _this_issue(question: Question, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = ("probability", "p05", "p25", "p75", "p95")
    return {
        "issued_on": None, "as_of": str(question.as_of), "leader": question.leader, "horizon_end": str(question.end), "spec": None,
        "outcomes": {item["outcome"]: {name: item[name] for name in numbers} for item in outcomes},
    }  # fmt: skip


def _shown(issue: Mapping[str, Any], as_of: str) -> dict[str, Any]:
    """Return an issue with what to call it: the day it was seen from, or issued on where that is today's."""
    label = "this issue"
    if issue["issued_on"] is not None:
        label = issue["issued_on"] if issue["as_of"] == as_of else issue["as_of"]
    shown = ("issued_on", "as_of", "leader", "horizon_end", "spec", "outcomes")
    return {**{name: issue[name] for name in shown}, "label": label}


def _causes(
    fit: Fit, data: Data, forecast: Forecast, issues: Issues, labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the parts of the difference to the last issue; none where it is of another day and was not split before."""
    if not issues or issues[-1]["leader"] != forecast.question.leader:
        return []
    last = issues[-1]
    parts = last.get("causes") or {}
    if last["as_of"] == str(forecast.question.as_of):
        parts = explain_issue(fit, data, forecast, last)
    return [
        {"cause": f"new readings: {labels[name]}" if name in labels else name, **part}
        for name, part in _folded(parts).items()
    ]


def _folded(parts: Parts) -> Parts:
    """Return the parts of a change with those that cannot be seen in any outcome added up in one."""
    small = [name for name, part in parts.items() if name != NOISE and max(map(abs, part.values())) < NOTICED]
    if len(small) < 2:
        return parts
    together = {outcome: sum(parts[name][outcome] for name in small) for outcome in OUTCOMES}
    kept = {name: part for name, part in parts.items() if name not in (*small, NOISE)}
    return {**kept, f"{len(small)} smaller parts": together, NOISE: parts[NOISE]}


def _change(history: Issues, causes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the difference to the issue before; None for the first."""
    if len(history) < 2 or history[-1]["leader"] != history[-2]["leader"]:
        return None
    before, now = history[-2], history[-1]
    about = {name: before[name] for name in ("issued_on", "as_of", "horizon_end")}
    outcomes = []
    for name, line in now["outcomes"].items():
        was, is_now = before["outcomes"][name]["probability"], line["probability"]
        moved = {
            "before": was,
            "now": is_now,
            "difference": is_now - was,
            "mainly": _main_cause(causes, name, is_now - was),
        }
        outcomes.append({"outcome": name, "label": LABELS[name], **moved})
    return {**about, "outcomes": outcomes, "causes": causes}


def _main_cause(causes: list[dict[str, Any]], outcome: str, change: float) -> str | None:
    """Return the largest part of a change in its direction, in words; None where no parts are known or no change is seen."""
    largest = max(causes, key=lambda part: part[outcome] * np.sign(change), default=None)
    if largest is None or abs(change) < NOTICED:
        return None
    return f"{largest['cause']} ({points(largest[outcome])})"


def _analogues(fit: Fit, data: Data, question: Question, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    spells = data.leaders.set_index("spell_id")
    names = data.countries.sort_values("start")
    lines = []
    for row in nearest_analogues(fit, data, question).itertuples():
        own = names[(names["country"] == row.country) & (names["start"] <= row.start)]
        lines.append({
            "spell": row.spell, "leader": spells.loc[row.spell, "leader"], "country": own["name"].iloc[-1] if len(own) else row.country,
            "from": str(row.start.date()), "to": str(row.end.date()), "distance": float(row.distance),
            "near": [labels[name] for name in row.near], "far": [labels[name] for name in row.far],
            "followed": what_followed(data, row.spell, row.start, question.horizon),
        })  # fmt: skip
    return lines


def list_challenges(data: Data, country: str) -> list[dict[str, Any]]:
    """Return a country's challenges, the latest first."""
    own = data.events[data.events["country"] == country].sort_values("start", ascending=False)
    return [
        {"name": row.name, "kind": row.kind.replace("_", " "), "start": str(row.start.date()), "end": "" if pd.isna(row.end) else str(row.end.date()), "result": row.result}
        for row in own.itertuples(index=False)
    ]  # fmt: skip


def _readings(data: Data, country: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    own = data.indicators[data.indicators["country"] == country].sort_values("observed_on")
    latest = own.drop_duplicates(["indicator", "coder"], keep="last")
    return [
        {"indicator": row.indicator, "label": labels[row.indicator], "coder": row.coder, "value": row.value, "low": row.low, "high": row.high, "observed_on": str(row.observed_on.date()), "basis": row.basis, "sources": row.sources}
        for row in latest.sort_values(["indicator", "coder"]).itertuples()
    ]  # fmt: skip


def reading_history(data: Data, country: str, since: str, until: str) -> list[dict[str, Any]]:
    """Return each coder's readings of a span: those of its days, and the one in force when it begins."""
    first, last = pd.Timestamp(since), pd.Timestamp(until)
    own = data.indicators[data.indicators["country"] == country].sort_values("observed_on", kind="stable")
    coders: dict[str, list[dict[str, Any]]] = {}
    for (name, coder), lines in own[own["observed_on"] <= last].groupby(["indicator", "coder"]):
        shown = lines.iloc[max(int((lines["observed_on"] <= first).sum()) - 1, 0) :]
        days = shown["observed_on"].clip(lower=first).dt.date.astype(str)
        points = [list(point) for point in zip(days, shown["value"], shown["low"], shown["high"], strict=True)]
        coders.setdefault(name, []).append({"coder": str(coder), "points": points})
    return [
        {"indicator": name, "label": entry.label, "range": list(entry.range), "coders": coders[name]}
        for name, entry in data.codebook.indicators.items()
        if name in coders
    ]


def _since(as_of: Any) -> str:
    """Return the first day of the history that a report shows."""
    return str((pd.Timestamp(as_of) - pd.DateOffset(years=HISTORY_YEARS)).date())


def figures(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the report's figures, each as the panels that it consists of."""
    question = content["question"]
    drawn = {
        "futures": [drawing.draw_futures(content["outcomes"])],
        "outcomes": [drawing.draw_outcomes(content["outcomes"])],
        "incidence": drawing.draw_incidence(content["incidence"], question["as_of"]),
        "history": drawing.draw_history(content["history"]),
        "drivers": [drawing.draw_drivers(content["drivers"])],
        "swings": drawing.draw_swings(content["swings"]) if content["swings"] else [],
        "shares": [drawing.draw_shares(content["shares"])],
        "readings": drawing.draw_readings(
            content["reading_history"], content["challenges"], _since(question["as_of"]), question["as_of"]
        ),
    }
    return {name: panels for name, panels in drawn.items() if panels}


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


def report_key(fit: Fit, question: Question, past: Past = NOTHING) -> str:
    """Return a digest of everything that a report is made from."""
    facts = fit.provenance
    claims = fit.spec.model_dump()["claims"]
    made_from = [facts["data_digest"], facts["spec_digest"], facts["versions"], claims, vars(question), FORMAT]
    return digest([*made_from, list(past.issues), past.record])


def make_report(
    fit: Fit, data: Data, forecast: Forecast, template_folder: Path | None = None, past: Past = NOTHING
) -> Report:
    """Return the report of a forecast.

    Parameters
    ----------
    template_folder : Path, optional
        Templates of the same names in it take precedence.
    past : Past

    Raises
    ------
    GateError
        When the diagnostics gate is not met.
    """
    question = forecast.question
    content = {
        "key": report_key(fit, question, past),
        **assemble(fit, data, forecast, past),
    }
    environment = templates(template_folder)
    page = environment.get_template("report.html.j2").render(
        **content, figures=figures(content), explorer=build_explorer(fit, data, question)
    )
    return Report(content, page, environment.get_template("report.md.j2").render(**content))


def save_report(report: Report, path: Path) -> None:
    """Write a report as HTML with its Markdown, CSV and JSON twins beside it."""
    write_atomically(path.with_suffix(".md"), report.text)
    write_atomically(path.with_suffix(".csv"), all_numbers(report.content))
    write_atomically(path, report.page)
    write_atomically(path.with_suffix(".json"), json.dumps(report.content, indent=1, ensure_ascii=False) + "\n")


def all_numbers(content: Mapping[str, Any]) -> str:
    """Return every number of a report as CSV: where it stands in the JSON twin, and its value."""
    lines = list(_numbers(content, ""))
    text: str = pd.DataFrame(lines, columns=["place", "value"]).to_csv(index=False, lineterminator="\n")
    return text


def _numbers(value: Any, place: str) -> Any:
    match value:
        case bool():
            return
        case int() | float():
            yield place, repr(value)
        case dict():
            for name, part in value.items():
                yield from _numbers(part, f"{place}.{name}" if place else str(name))
        case list() | tuple():
            for at, part in enumerate(value):
                yield from _numbers(part, f"{place}[{_name_of(part, at)}]")


def _name_of(part: Any, place: int) -> str:
    """Return what an item of a list is called: what it is about, or else its place."""
    names = ("outcome", "kind", "reference class", "month", "spell", "id", "indicator", "coder")
    found = [str(part[name]) for name in names if isinstance(part, dict) and name in part]
    return "/".join(found) or str(place)


def write_report(
    fit: Fit, data: Data, forecast: Forecast, path: Path, template_folder: Path | None = None, past: Past = NOTHING
) -> Report:
    """Make and save the report of a forecast; nothing is written when the gate is not met."""
    report = make_report(fit, data, forecast, template_folder, past)
    save_report(report, path)
    return report


def read_twin(path: Path) -> dict[str, Any]:
    """Return the numbers of the report at a path."""
    content: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return content


def is_current(fit: Fit, question: Question, path: Path, past: Past = NOTHING) -> bool:
    """Return whether the report at a path is whole and was made from the same fit, question, record and version."""
    if not all(path.with_suffix(suffix).exists() for suffix in (".html", ".md", ".csv", ".json")):
        return False
    try:
        twin = read_twin(path)
    except ValueError:  # not JSON, or not even text
        return False
    return isinstance(twin, dict) and twin.get("key") == report_key(fit, question, past)
