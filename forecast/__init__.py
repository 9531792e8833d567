"""Bayesian forecasts of coups, revolutions and leaders' survival from historical cases.

The names below are the public interface; each is imported when it is first used, so that reading data
or asking for help never waits for the sampler.

Examples
--------
>>> import forecast
>>> spec = forecast.load_spec(forecast.find_study().models / "default.toml")
>>> spec.indicators[:3]
('war_balance', 'war_burden', 'war_support')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecast.checks import check_study as check_study
    from forecast.claims import evaluate_claims as evaluate_claims
    from forecast.data import Data as Data
    from forecast.data import load_data as load_data
    from forecast.design import build_design as build_design
    from forecast.errors import ForecastError as ForecastError
    from forecast.inference import Fit as Fit
    from forecast.inference import fit as fit
    from forecast.inference import load_fit as load_fit
    from forecast.ledger import record as record
    from forecast.model import build_model as build_model
    from forecast.prediction import Forecast as Forecast
    from forecast.prediction import predict as predict
    from forecast.report import write_report as write_report
    from forecast.spec import Spec as Spec
    from forecast.spec import load_spec as load_spec
    from forecast.study import find_study as find_study

__version__ = "0.2.0"

_HOMES = {
    "Data": "data",
    "Fit": "inference",
    "Forecast": "prediction",
    "ForecastError": "errors",
    "Spec": "spec",
    "build_design": "design",
    "build_model": "model",
    "check_study": "checks",
    "evaluate_claims": "claims",
    "find_study": "study",
    "fit": "inference",
    "load_data": "data",
    "load_fit": "inference",
    "load_spec": "spec",
    "predict": "prediction",
    "record": "ledger",
    "write_report": "report",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the table above is the one list of public names


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'forecast' has no attribute {name!r}")
    return getattr(import_module(f"forecast.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
