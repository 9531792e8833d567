"""The reports of many leaders at once: all are made before the first number is recorded or written."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from forecast.data import Data
from forecast.inference import Fit
from forecast.ledger import append_rows, rows_of
from forecast.prediction import Question, answer, look_ahead
from forecast.report import Report, is_current, make_report, read_twin, report_path, save_report

WORKERS = 2


@dataclass(frozen=True)
class Edition:
    """What one publication did: the numbers of each country, the pages, and how much was new."""

    content: dict[str, dict[str, Any]]
    pages: dict[str, Path]
    reports_made: int
    rows_recorded: int


def publish(fit: Fit, data: Data, questions: Sequence[Question], reports: Path, *, progress: bool = False) -> Edition:
    """Answer, record and report every question whose report is not current.

    Raises
    ------
    GateError
        When the fit or any probability did not pass the diagnostics gate; nothing is recorded or
        written then.
    """
    fit.require_gate()
    pages = {question.country: report_path(reports, question) for question in questions}
    stale = [question for question in questions if not is_current(fit, question, pages[question.country])]
    made = _make_all(fit, data, stale, progress=progress)
    rows = [row for _, own in made for row in own]
    recorded = append_rows(rows, reports / "ledger.csv") if rows else 0
    for question, (report, _) in zip(stale, made, strict=True):
        save_report(report, pages[question.country])
    return Edition({country: read_twin(path) for country, path in pages.items()}, pages, len(stale), recorded)


def _make_all(
    fit: Fit, data: Data, questions: list[Question], *, progress: bool
) -> list[tuple[Report, list[dict[str, str]]]]:
    if not questions:
        return []
    from rich.console import Console
    from rich.progress import track

    # Fresh processes: the threads of the sampler and of BLAS do not survive a fork.
    context = multiprocessing.get_context("spawn")
    workers = min(WORKERS, len(questions))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_remember, initargs=(fit, data)) as pool:
        jobs = pool.map(_make, questions)
        shown = track(jobs, "reports", total=len(questions), console=Console(stderr=True)) if progress else jobs
        return list(shown)


_shared: dict[str, tuple[Fit, Data]] = {}


def _remember(fit: Fit, data: Data) -> None:
    _shared["work"] = (fit, data)


def _make(question: Question) -> tuple[Report, list[dict[str, str]]]:
    fit, data = _shared["work"]
    forecast = answer(fit, look_ahead(fit, data, question), question)
    return make_report(fit, data, forecast), rows_of(forecast, fit, date.today())
