"""The reports of many leaders at once: all are made before the first number is recorded or written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from forecast.changes import explain_issue
from forecast.data import Data
from forecast.engine import Job, Where, local_workers, read_result, run_jobs, shared_by_all
from forecast.errors import GateError
from forecast.inference import Fit
from forecast.ledger import append_rows, issues_before, read_ledger, rows_of, source_of
from forecast.overview import write_overview
from forecast.prediction import Forecast, Question, answer, ask, look_ahead, thinned
from forecast.report import Past, Report, is_current, make_report, read_twin, report_path, save_report
from forecast.track_record import describe_record

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
    build: Path,
    *,
    split: Collection[str] = (),
    recorded: bool = True,
    template_folder: Path | None = None,
    progress: bool = False,
) -> Edition:
    """Answer and report every question whose report is not current, and record the answers.

    Parameters
    ----------
    reports, build : Path
        Folders of the pages and the ledger, and of what is kept.
    split : collection of str
        Countries whose change since an issue of an earlier day is split by cause, which takes a minute or two; what was split before is kept.
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
    past = look_back(fit, data, questions, reports, build, split=split, progress=progress)
    stale = [
        question for question in questions
        if template_folder or not is_current(fit, question, pages[question.country], past[question.country])
    ]  # fmt: skip
    work = _Work(fit, data, past, template_folder)
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
    past: dict[str, Past]
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
    report = make_report(work.fit, work.data, forecast, work.template_folder, work.past[question.country])
    return report, rows_of(forecast, work.fit, date.today()) if not question.settings else []


def look_back(
    fit: Fit,
    data: Data,
    questions: Sequence[Question],
    reports: Path,
    build: Path,
    *,
    split: Collection[str] = (),
    progress: bool = False,
) -> dict[str, Past]:
    """Return what was issued before about each country, with the causes of the change since the last time where they are known.

    Raises
    ------
    GateError
        When a change could not be split.
    """
    rows = read_ledger(reports / "ledger.csv")
    issues = {q.country: [] if q.settings else issues_before(rows, q, fit.provenance) for q in questions}
    earlier = [q for q in questions if issues[q.country] and _of_earlier_day(issues[q.country][-1], q)]
    jobs = {q.country: _job(fit, q, issues[q.country][-1]) for q in earlier}
    wanted, folder = [job for country, job in jobs.items() if country in split], build / "changes"
    failures = wanted and run_jobs(_split, wanted, folder, (fit, data, build), Where(WORKERS), progress=progress)[1]
    if failures:
        raise GateError(f"{failures[0].job.name} could not be split by cause: {failures[0].message}")
    for country, job in jobs.items():
        if causes := read_result(folder, job):
            issues[country][-1]["causes"] = causes
    # Its own answers are no record of a report yet: or else recording them would make it stale.
    source = source_of(fit.provenance)
    record = describe_record(
        [row for row in rows if (row["data_digest"], row["spec_digest"], row["version"]) != source], data
    )
    return {country: Past(own, record) for country, own in issues.items()}


def _of_earlier_day(issue: dict[str, Any], question: Question) -> bool:
    return bool(issue["leader"] == question.leader and issue["as_of"] < str(question.as_of))


def _job(fit: Fit, question: Question, issue: dict[str, Any]) -> Job:
    facts = {name: fit.provenance[name] for name in ("data_digest", "spec_digest", "versions")}
    asked = {"country": question.country, "horizon": question.horizon}
    return Job(f"{question.country} since {issue['as_of']}", {**asked, "fit": facts, "issue": issue})


def _split(shared: tuple[Fit, Data, Path], job: Job) -> Any:
    fit, data, build = shared
    question = ask(data, job.facts["country"], job.facts["horizon"])
    return explain_issue(fit, data, answer_question(fit, data, question), job.facts["issue"], build)


def answer_question(fit: Fit, data: Data, question: Question) -> Forecast:
    """Return the forecast of a question, a scenario on the draws that scenarios are answered on."""
    small = thinned(fit) if question.settings else fit
    return answer(small, look_ahead(fit, data, question), question)
