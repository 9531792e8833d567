"""The forecast ledger: every number issued, in the order of issue, never rewritten.

Each row carries the digest of the row before it, so a changed, moved or missing row breaks the chain.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from forecast.errors import LedgerError, UsageError
from forecast.files import digest, locked, remove_leftovers, write_atomically
from forecast.inference import Fit
from forecast.prediction import Forecast, Question, require_mixed, summarise
from forecast.schema import OUTCOMES

COLUMNS = (
    "issued_on", "country", "leader", "outcome", "as_of", "horizon_months", "horizon_end", "probability", "p05", "p25",
    "p75", "p95", "spec", "data_digest", "spec_digest", "seed", "version", "previous", "digest", "fit_digest",
)  # fmt: skip
EARLIER_COLUMNS = COLUMNS[:-1]  # of ledgers begun before fits had digests; their rows keep their own digests
KEY = ("country", "outcome", "as_of", "horizon_end", "data_digest", "spec_digest", "version")
ABOUT = ("issued_on", "as_of", "leader", "horizon_end", "spec", "data_digest", "spec_digest", "version")
NUMBERS = ("probability", "p05", "p25", "p75", "p95")
START = "0" * 64


def rows_of(forecast: Forecast, fit: Fit, issued_on: date) -> list[dict[str, str]]:
    """Return a forecast as ledger rows, one for each outcome, not yet chained.

    Raises
    ------
    UsageError
        When indicators were set: an answer to "what if" is not a forecast and cannot be scored.
    """
    question, facts = forecast.question, fit.provenance
    if question.settings:
        raise UsageError(f"a scenario ({', '.join(question.settings)} set) is not recorded; leave the settings out")
    fixed = {
        "issued_on": str(issued_on), "country": question.country, "leader": question.leader,
        "as_of": str(question.as_of), "horizon_months": str(question.horizon), "horizon_end": str(question.end),
        "spec": facts["spec"], "data_digest": facts["data_digest"], "spec_digest": facts["spec_digest"],
        "seed": str(facts["sampling"]["seed"]), "version": facts["versions"]["regime-forecast"],
        "fit_digest": facts.get("fit_digest", ""),
    }  # fmt: skip
    return [
        {**fixed, "outcome": str(outcome), **{name: f"{value:.6f}" for name, value in line.items()}}
        for outcome, line in summarise(forecast).iterrows()
    ]


def read_ledger(path: Path) -> list[dict[str, str]]:
    """Return the rows of a ledger whose chain is whole.

    Raises
    ------
    LedgerError
        When a row was changed, moved, removed or torn.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")  # bytes that are no text break the chain
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ()) not in (COLUMNS, EARLIER_COLUMNS) or not text.endswith("\n"):
        raise LedgerError(f"{path} is not a whole ledger: its header or its end is damaged; restore it from git")
    rows, previous = list(reader), START
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values() or row["previous"] != previous or row["digest"] != _row_digest(row):
            raise LedgerError(f"{path}, row {number}: the chain of digests is broken; restore the file from git")
        row.setdefault("fit_digest", "")
        previous = row["digest"]
    return rows


def _row_digest(row: dict[str, str]) -> str:
    """Return the digest of a row; a row without a fit's digest has that of a ledger without the column."""
    names = [name for name in EARLIER_COLUMNS if name != "digest"] + (["fit_digest"] if row.get("fit_digest") else [])
    return digest({name: row[name] for name in names})


def source_of(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what tells the answers of one fit from those of another: data, spec and version."""
    return facts["data_digest"], facts["spec_digest"], facts["versions"]["regime-forecast"]


def issues_before(rows: Sequence[dict[str, str]], question: Question, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was issued before about the country and horizon of a question, oldest first.

    An issue of the same data, spec and version (`facts`, a fit's provenance) is the answer itself and is left out,
    and so is one seen from a later day.

    Returns
    -------
    list of dict
        What `ABOUT` names, and ``outcomes``: outcome to probability and intervals.
    """
    same = source_of(facts)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row["data_digest"], row["spec_digest"], row["version"])
        if row["country"] != question.country or row["horizon_months"] != str(question.horizon):
            continue
        if row["as_of"] > str(question.as_of) or (key == same and row["as_of"] == str(question.as_of)):
            continue
        about = {name: row[name] for name in ABOUT}
        issue = found.setdefault((row["as_of"], *key), {**about, "outcomes": {}})
        issue["outcomes"][row["outcome"]] = {name: float(row[name]) for name in NUMBERS}
    whole = [issue for issue in found.values() if set(issue["outcomes"]) == set(OUTCOMES)]
    return sorted(whole, key=lambda issue: (issue["as_of"], issue["issued_on"]))


def record(forecasts: Sequence[Forecast], fit: Fit, path: Path, issued_on: date | None = None) -> int:
    """Append forecasts to the ledger and return how many rows are new.

    A question that was already answered from the same data, spec and version keeps its first answer.

    Raises
    ------
    GateError
        When the fit, or a probability, did not pass the diagnostics gate.
    LedgerError
        When the ledger's chain is broken.
    UsageError
        When a forecast answers "what if".
    """
    fit.require_gate()
    for forecast in forecasts:
        require_mixed(forecast, fit.spec.gate)
    day = issued_on or date.today()
    return append_rows([row for forecast in forecasts for row in rows_of(forecast, fit, day)], path)


def append_rows(issued: Sequence[dict[str, str]], path: Path) -> int:
    """Chain rows to the ledger's end, leaving out those already answered; return how many are new."""
    with locked(path.parent):
        remove_leftovers(path)
        rows = read_ledger(path)
        known = {tuple(row[name] for name in KEY) for row in rows}
        previous = rows[-1]["digest"] if rows else START
        fresh = []
        for row in issued:
            key = tuple(row[name] for name in KEY)
            if key not in known:
                known.add(key)
                chained = {**row, "previous": previous}
                previous = chained["digest"] = _row_digest(chained)
                fresh.append(chained)
        if fresh:
            write_atomically(path, _text(rows + fresh))
    return len(fresh)


def _text(rows: list[dict[str, str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
