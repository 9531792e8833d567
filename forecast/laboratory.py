"""One call for each kind of sensitivity: its tables, its picture and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from forecast import charts
from forecast.calibration import run_calibration
from forecast.engine import Failure, Where
from forecast.errors import UsageError
from forecast.multiverse import read_family, run_multiverse
from forecast.patches import Patch, read_patches
from forecast.sensitivity import (
    Findings,
    Lab,
    case_patches,
    coding_patches,
    compare_methods,
    influential_readings,
    power_scaling,
    prior_patches,
    reference_patches,
    run_cases,
    run_changes,
)
from forecast.shares import spread_sources

KINDS = ("priors", "cases", "coding", "shares", "multiverse", "calibration", "check")


@dataclass(frozen=True)
class Answer:
    """What a kind of sensitivity found.

    Attributes
    ----------
    tables : dict of str to pandas.DataFrame
        The main one under the empty name.
    picture : str
        SVG.
    failures : sequence of Failure
    """

    tables: dict[str, pd.DataFrame]
    picture: str
    failures: Sequence[Failure] = ()


def examine(
    kind: str, lab: Lab, models: Path, folder: Path, where: Where | None = None, *, progress: bool = False
) -> Answer:
    """Return the answer of one kind of sensitivity.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    lab : Lab
    models : Path
        Folder of ``patches.toml`` and ``multiverse.toml``.
    folder : Path
        Keeps the results of fits, so that a run that was stopped goes on.
    where : Where
    progress : bool

    Raises
    ------
    UsageError
        When there is no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no sensitivity to {kind}; choose from {', '.join(KINDS)}")
    place, named = (lab, folder, where), read_patches(models / "patches.toml")
    match kind:
        case "priors":
            patches = prior_patches(named) | reference_patches(models, lab.fit.spec, lab.data.known_to)
            found = _told(run_changes(lab, patches, folder, where, progress=progress), power=power_scaling(lab))
        case "cases":
            found = _told(run_cases(lab, named, folder, where, progress=progress), readings=influential_readings(lab))
        case "coding":
            found = _told(run_changes(lab, coding_patches(lab, named), folder, where, progress=progress))
        case "check":
            found = _check(*place, named, progress=progress)
        case "shares":
            table, failures = spread_sources(lab, models, folder, where, progress=progress)
            found = Answer({"": table}, charts.plot_parts(table), failures)
        case "multiverse":
            found = _family(*place, models, progress=progress)
        case _:
            found = _ranks(*place, progress=progress)
    return found


def _family(lab: Lab, folder: Path, where: Where | None, models: Path, *, progress: bool) -> Answer:
    family = read_family(models / "multiverse.toml")
    many = run_multiverse(lab, family, folder, where, progress=progress)
    picture = charts.plot_family(many.table, list(family.dimensions))
    return Answer({"": many.table, "claims": many.claims}, picture, many.failures)


def _ranks(lab: Lab, folder: Path, where: Where | None, *, progress: bool) -> Answer:
    result = run_calibration(lab, folder, where, progress=progress)
    tables = {"": result.table, "coverage": result.coverage}
    return Answer(tables, charts.plot_ranks(result.curves, result.level), result.failures)


def _told(found: Findings, **more: pd.DataFrame) -> Answer:
    return Answer({"": found.table, "claims": found.claims, **more}, charts.plot_changes(found.table), found.failures)


def _check(lab: Lab, folder: Path, where: Where | None, named: Mapping[str, Patch], *, progress: bool) -> Answer:
    """Hold weights against refits: every prior change that has weights, each country, and the named deletions."""
    kept = ("country", "without", "post")
    patches = {name: patch for name, patch in prior_patches(named).items() if not patch.spec}
    patches |= {name: patch for name, patch in case_patches(lab, named).items() if name.startswith(kept)}
    found = run_changes(lab, patches, folder, where, refits="all", claims=(), progress=progress)
    return Answer(
        {"": compare_methods(found.table), "all": found.table}, charts.plot_changes(found.table), found.failures
    )
