"""The reports of many leaders at once: all are made before the first number is recorded or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from forecast.data import Data
from forecast.engine import local_workers, shared_by_all
from forecast.inference import Fit
from forecast.ledger import append_rows, issues_before, read_ledger, rows_of
from forecast.overview import write_overview
from forecast.prediction import Forecast, Question, answer, look_ahead, thinned
from forecast.report import Report, is_current, make_report, read_twin, report_path, save_report

WORKERS = 2
Made = tuple[Report, list[dict[str, str]]]


@dataclass(frozen=True)
class Edition:
    """What one publication did: the numbers of each country, the pages, and how much was new."""

    content: dict[str, dict[str, Any]]
    pages: dict[str, Path]
    reports_made: int
    rows_recorded: int
    overview: Path | None = None


def publish(
    fit: Fit,
    data: Data,
    questions: Sequence[Question],
    reports: Path,
    *,
    recorded: bool = True,
    template_folder: Path | None = None,
    progress: bool = False,
) -> Edition:
    """Answer and report every question whose report is not current, and record the answers.

    Parameters
    ----------
    recorded : bool
        Append the answers to the ledger of issued forecasts.
    template_folder : Path, optional
        Templates of one's own; then every report is made.

    Raises
    ------
    GateError
        When the fit or any probability did not pass the diagnostics gate; nothing is recorded or
        written then.
    """
    fit.require_gate()
    pages = {question.country: report_path(reports, question) for question in questions}
    rows = read_ledger(reports / "ledger.csv")
    issues = {question.country: issues_before(rows, question, fit.provenance) for question in questions}
    stale = [
        question for question in questions
        if template_folder or not is_current(fit, question, pages[question.country], issues[question.country])
    ]  # fmt: skip
    work = _Work(fit, data, issues, template_folder)
    made = _make_all(work, stale, progress=progress)
    fresh = [row for _, own in made for row in own] if recorded else []
    appended = append_rows(fresh, reports / "ledger.csv") if fresh else 0
    for question, (report, _) in zip(stale, made, strict=True):
        save_report(report, pages[question.country])
    content = {country: read_twin(path) for country, path in pages.items()}
    overview = write_overview(content, pages[questions[0].country].parent, template_folder) if questions else None
    return Edition(content, pages, len(stale), appended, overview)


@dataclass(frozen=True)
class _Work:
    """What every worker needs."""

    fit: Fit
    data: Data
    issues: dict[str, list[dict[str, Any]]]
    template_folder: Path | None


def _make_all(work: _Work, questions: list[Question], *, progress: bool) -> list[Made]:
    if not questions:
        return []
    from rich.console import Console
    from rich.progress import track

    with local_workers(min(WORKERS, len(questions)), work) as pool:
        jobs = pool.map(_make, questions)
        shown = track(jobs, "reports", total=len(questions), console=Console(stderr=True)) if progress else jobs
        return list(shown)


def _make(question: Question) -> Made:
    work: _Work = shared_by_all()
    forecast = answer_question(work.fit, work.data, question)
    report = make_report(work.fit, work.data, forecast, work.template_folder, work.issues[question.country])
    return report, rows_of(forecast, work.fit, date.today()) if not question.settings else []


def answer_question(fit: Fit, data: Data, question: Question) -> Forecast:
    """Return the forecast of a question, a scenario on the draws that scenarios are answered on."""
    small = thinned(fit) if question.settings else fit
    return answer(small, look_ahead(fit, data, question), question)
