"""What if: named scenarios, one-way curves, grids over two indicators, and the smallest move that tips the answer.

Every answer is that of `prediction.predict` to a question with settings: same draws, same numbers. A setting that
history does not know is answered too, with a warning in the row itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit, logit, ndtr

from forecast.data import Data
from forecast.design import measure
from forecast.errors import UsageError
from forecast.explanation import can_be_set
from forecast.inference import Fit
from forecast.prediction import Ingredients, Outlook, Question, ask, look_ahead, prepare, respond, summarise, thinned
from forecast.schema import OUTCOMES
from forecast.spec import Part, read_parts

FAR = 0.25  # of half a codebook's range: no leader-day of the data is so near to a setting
CREDIBLE = 2.0  # a move of so many historical standard deviations, or less, is credible
STEPS = 11  # at which a way is looked at
SEARCH_DRAWS = 250  # on which tipping points are looked for; they are checked on the draws of any scenario
LIKELIER_THAN_NOT, DOUBLED = "likelier than not", "doubled"


class Scenario(Part):
    """A named scenario: indicators set to a value, or moved from their latest reading within their range."""

    title: str
    set: dict[str, float] = Field({})
    move: dict[str, float] = Field({})


@dataclass(frozen=True)
class Stage:
    """Everything that answers about one leader share, drawn once.

    Attributes
    ----------
    fit : Fit
        Thinned.
    data : Data
    question : Question
    outlook : Outlook
    parts : Ingredients
    """

    fit: Fit
    data: Data
    question: Question
    outlook: Outlook
    parts: Ingredients

    @property
    def names(self) -> list[str]:
        """The indicators of the model that a scenario may set."""
        return [name for name in self.fit.spec.indicators if can_be_set(self.data, self.question, name)]

    def latest(self, name: str) -> float:
        """Return an indicator's latest reading, or the mean of the data where there is none."""
        place = list(self.fit.design.indexes["indicator"]).index(name)
        scaling = self.fit.design.sel(indicator=name)
        return float(self.outlook.centre[0, place] * scaling["scale"] + scaling["location"])

    def answer(self, settings: Mapping[str, float]) -> pd.DataFrame:
        """Return mean and intervals of each outcome at the horizon under settings."""
        asked = ask(self.data, self.question.country, self.question.horizon, settings, self.question.paths)
        return summarise(respond(self.fit, self.parts, self.outlook, asked))


def set_stage(fit: Fit, data: Data, country: str, horizon: int = 24, *, held: bool = False, draws: int = 1000) -> Stage:
    """Return the stage of a country's leader.

    Parameters
    ----------
    fit : Fit
    data : Data
        The view that the fit was made from.
    country : str
    horizon : int
        Months.
    held : bool
        Let indicators that are not set stay where they are, instead of moving as they have moved in the ledger.
    draws : int
        At most so many posterior draws.
    """
    if fit.provenance["data_digest"] != data.digest:
        raise UsageError("the fit was made from other data than these; fit again, or view the data as of the fit's day")
    question = ask(data, country, horizon, paths="hold" if held else "walk")
    small, outlook = thinned(fit, draws), look_ahead(fit, data, question)
    return Stage(small, data, question, outlook, prepare(small, outlook, question))


def warn(stage: Stage, settings: Mapping[str, float]) -> str:
    """Return in words how settings leave what history has shown; empty where they do not."""
    told = []
    readings = stage.data.indicators
    for name, value in settings.items():
        own = readings.loc[readings["indicator"] == name, "value"]
        if len(own) and not own.min() <= value <= own.max():
            told.append(f"{name}={value:g} was never read (only {own.min():g} to {own.max():g})")
    if settings and not told and (gap := _gap(stage, settings)) > FAR:
        told.append(f"no leader-day of the data is near this combination (nearest: {gap:.2f} of half a range away)")
    return "outside the historical range: " + "; ".join(told) if told else ""


def _gap(stage: Stage, settings: Mapping[str, float]) -> float:
    """Return the distance from settings to the nearest row of the design in which all of them are read."""
    design = stage.fit.design.sel(
        indicator=[name for name in settings if name in stage.fit.design.indexes["indicator"]]
    )
    if not design.sizes["indicator"]:
        return 0.0
    value = np.array([settings[str(name)] for name in design["indicator"].to_numpy()])
    target = (value - design["location"].to_numpy()) / design["scale"].to_numpy()
    known = ~design["missing"].to_numpy().any(axis=1)
    gaps = np.sqrt(((design["centre"].to_numpy()[known] - target) ** 2).mean(axis=1))
    return float(gaps.min()) if len(gaps) else float("inf")


def answer_all(stage: Stage, cases: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]]) -> pd.DataFrame:
    """Return one row per case and outcome: the case's labels, the probability with intervals, and a warning."""
    tables = []
    for labels, settings in cases:
        table = stage.answer(settings).reset_index()
        tables.append(table.assign(**labels, warning=warn(stage, settings)))
    whole = pd.concat(tables, ignore_index=True)
    first = list(cases[0][0])
    return whole[[*first, *(name for name in whole.columns if name not in first)]]


def scenario_curve(stage: Stage, name: str, points: int = 21) -> pd.DataFrame:
    """Return the outcomes as one indicator goes through its range (indicator, value, outcome, probability, ...)."""
    return answer_all(stage, [({"indicator": name, "value": v}, {name: v}) for v in _steps(stage, name, points)])


def scenario_grid(stage: Stage, first: str, second: str, points: int = 9) -> pd.DataFrame:
    """Return the outcomes over a grid of two indicators: a column for each, then outcome, probability, intervals."""
    if first == second:
        raise UsageError(f"a grid needs two indicators; both are {first}")
    pairs = [(a, b) for a in _steps(stage, first, points) for b in _steps(stage, second, points)]
    return answer_all(stage, [({first: a, second: b}, {first: a, second: b}) for a, b in pairs])


def _steps(stage: Stage, name: str, points: int) -> list[float]:
    if name not in stage.names:
        raise UsageError(f"{name} cannot be set in {stage.fit.spec.name}; choose from {', '.join(stage.names)}")
    low, high = stage.data.codebook.indicators[name].range
    return [round(float(value), 6) for value in np.linspace(low, high, points)]


def as_tree(tables: Mapping[str, pd.DataFrame], keys: Mapping[str, Sequence[str]]) -> xr.DataTree:
    """Return tidy tables as a tree of labelled arrays, each over its key columns."""
    return xr.DataTree.from_dict({
        name: table.set_index([*keys[name], "outcome"]).to_xarray() for name, table in tables.items()
    })  # fmt: skip


def read_scenarios(path: Path) -> dict[str, Scenario]:
    """Return the named scenarios of a TOML file.

    Raises
    ------
    SpecError
        When the file is missing, is not TOML, or asks for something unknown.
    """
    return read_parts(path, dict[str, Scenario], "scenarios")


def settings_of(stage: Stage, scenario: Scenario) -> dict[str, float]:
    """Return what a scenario sets for a leader; moves start at the latest reading and end at the range's end."""
    settings = dict(scenario.set)
    for name, by in scenario.move.items():
        if name not in stage.names:
            raise UsageError(f"a scenario moves {name}, which is not one of {', '.join(stage.names)}")
        low, high = stage.data.codebook.indicators[name].range
        settings[name] = float(np.clip(stage.latest(name) + by, low, high))
    return settings


def named_scenarios(stage: Stage, scenarios: Mapping[str, Scenario]) -> pd.DataFrame:
    """Return the outcomes under each named scenario, after those with nothing set (scenario "as it stands")."""
    cases: list[tuple[dict[str, Any], dict[str, float]]] = [({"scenario": "as it stands", "settings": ""}, {})]
    for name, scenario in scenarios.items():
        settings = settings_of(stage, scenario)
        told = ", ".join(f"{key}={value:.2f}" for key, value in settings.items())
        cases.append(({"scenario": name.replace("_", " "), "settings": told}, settings))
    return answer_all(stage, cases)


# --- tipping points -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tipping:
    """The smallest move that brings a probability to a target.

    Attributes
    ----------
    end : array (indicator)
        Where the move ends; the nearest to the target that can be had where it is not reached.
    size : float
        Length in the metric of historical moves: standard deviations along its direction; infinite if not reached.
    probability : float
        At the end.
    """

    end: Any
    size: float
    probability: float


def find_tipping(
    chance: Callable[[Any], float], start: Any, covariance: Any, low: Any, high: Any, target: float
) -> Tipping:
    """Return the smallest move from a start, inside a box, that brings a chance to a target.

    The length of a move d is sqrt(d' C^-1 d), with C the covariance of moves over the horizon: the reliability index of
    Hasofer and Lind (1974), so that about Phi(-length) of histories go so far in that direction.

    Parameters
    ----------
    chance : function of an array (indicator)
    start, low, high : array (indicator)
    covariance : array (indicator x indicator)
    target : float

    Examples
    --------
    >>> line = lambda x: 1 / (1 + np.exp(2.0 - x[0] - 0.5 * x[1]))
    >>> found = find_tipping(line, np.zeros(2), np.eye(2), np.full(2, -9.0), np.full(2, 9.0), 0.5)
    >>> round(found.size, 4), found.end.round(2).tolist()
    (1.7889, [1.6, 0.8])
    """
    if chance(start) >= target:
        return Tipping(np.asarray(start), 0.0, chance(start))
    corner = _climb(chance, start, low, high)
    if (best := chance(corner)) < target:
        return Tipping(corner, float("inf"), best)
    inverse = np.linalg.inv(covariance)
    begin = start + _first_share(_along(chance, start, corner), target) * (corner - start)

    def short_of(x: Any) -> float:
        return float(logit(np.clip(chance(x), 1e-9, 1 - 1e-9)) - logit(target))

    found = minimize(
        lambda x: (x - start) @ inverse @ (x - start), begin, jac=lambda x: 2 * inverse @ (x - start), method="SLSQP",
        bounds=list(zip(low, high, strict=True)), constraints={"type": "ineq", "fun": short_of},
        options={"maxiter": 60, "ftol": 1e-7, "eps": 1e-4},
    )  # fmt: skip
    end = found.x if short_of(found.x) > -1e-3 else begin
    return Tipping(end, float(np.sqrt((end - start) @ inverse @ (end - start))), chance(end))


def _climb(chance: Callable[[Any], float], start: Any, low: Any, high: Any) -> Any:
    """Return the corner of the box to which one coordinate after the other climbs."""
    place = np.array(start, dtype=float)
    for _ in range(2):
        for index in range(len(place)):
            tries = [np.where(np.arange(len(place)) == index, end, place) for end in (low, high)]
            place = max([place, *tries], key=chance)
    return place


def _along(chance: Callable[[Any], float], start: Any, end: Any) -> Callable[[float], float]:
    return lambda share: chance(start + share * (end - start))


def _first_share(along: Callable[[float], float], target: float) -> float:
    """Return the first share of a way at which a target is reached, on the side on which it is."""
    shares = np.linspace(0, 1, STEPS)
    above = next(share for share in shares if along(float(share)) >= target or share == 1)
    below = above - shares[1]
    for _ in range(10):
        middle = (below + above) / 2
        below, above = (below, middle) if along(middle) >= target else (middle, above)
    return float(above)


def move_covariance(stage: Stage, names: Sequence[str]) -> Any:
    """Return the covariance of indicators' moves over the horizon (indicator x indicator; codebook's units).

    Variances are those with which the forecast lets indicators walk; correlations are of moves between New Years.
    """
    design = stage.fit.design
    places = [list(design.indexes["indicator"]).index(name) for name in names]
    sd = stage.outlook.step[places] * design["scale"].to_numpy()[places] * np.sqrt(stage.question.horizon)
    moves = _yearly_moves(stage.data, names)
    correlation = 0.9 * moves.corr(min_periods=30).fillna(0.0).to_numpy() + 0.1 * np.eye(len(names))
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    sound = (vectors * np.maximum(values, 0.05)) @ vectors.T
    return sound / np.sqrt(np.outer(np.diag(sound), np.diag(sound))) * np.outer(sd, sd)


def _yearly_moves(data: Data, names: Sequence[str]) -> pd.DataFrame:
    """Return each indicator's move from one New Year to the next under one leader; nothing where there was no war to move."""
    lines = []
    for spell in data.leaders.itertuples():
        end = pd.Timestamp(data.known_to) if pd.isna(spell.end) else spell.end
        days = pd.date_range(spell.start, end, freq="YS")
        lines.append(pd.DataFrame({"spell": spell.spell_id, "country": spell.country, "known": days}))
    moments = pd.concat(lines, ignore_index=True)
    moments = moments.assign(now=moments["known"], middle=moments["known"], entered=moments["known"])
    values = {}
    for name in names:
        value = measure(data, name, moments)[0]
        values[name] = np.where(value == 0, np.nan, value) if data.codebook.indicators[name].absent == "zero" else value
    return pd.DataFrame(values).groupby(moments["spell"]).diff()


def tipping_points(stage: Stage, outcomes: Sequence[str] = ("revolution", "coup")) -> pd.DataFrame:
    """Return the smallest moves that make an outcome likelier than not, or double it: of all indicators, and of each alone.

    Indicators start where they are read now, and every one that can move in the forecast may move. Of war and sanctions
    where there are none, none can.

    Parameters
    ----------
    stage : Stage
        Held.
    outcomes : sequence of str

    Returns
    -------
    pandas.DataFrame
        ``outcome``, ``target``, ``goal`` (its probability), ``indicator`` ("all together", or one alone), ``now`` (the
        probability), ``size`` (historical standard deviations; infinite if no move in the range does it), ``chance`` (of histories that go so
        far), ``reached`` (the probability at the end), ``move`` in words, ``verdict`` and ``warning``.
    """
    index = list(stage.fit.design.indexes["indicator"])
    names = [name for name in stage.names if stage.outlook.step[index.index(name)] > 0]
    search = set_stage(stage.fit, stage.data, stage.question.country, stage.question.horizon, held=True, draws=SEARCH_DRAWS)  # fmt: skip
    start = np.array([stage.latest(name) for name in names])
    ends = np.array([stage.data.codebook.indicators[name].range for name in names])
    covariance = move_covariance(stage, names)
    lines = []
    for outcome in outcomes:
        exact, chance = _chance(stage, names, outcome), _chance(search, names, outcome)
        now = exact(start)
        for target, goal in ((LIKELIER_THAN_NOT, 0.5), (DOUBLED, min(2 * now, 1.0))):
            bias = logit(chance(start)) - logit(now)
            whole = partial(find_tipping, chance, start, covariance, *ends.T)
            found = {"all together": _corrected(whole, exact, goal, bias)}
            for place, name in enumerate(names):
                alone = partial(_alone, chance, start, place, ends[place], float(np.sqrt(covariance[place, place])))
                found[name] = _corrected(alone, exact, goal, bias)
            lines += [
                _tell(stage, names, outcome, (target, goal, now), what, start, move) for what, move in found.items()
            ]
    return pd.DataFrame(lines)


def _chance(stage: Stage, names: Sequence[str], outcome: str) -> Callable[[Any], float]:
    """Return the function from indicators' values to the mean probability of an outcome at the horizon."""
    place, known = OUTCOMES.index(outcome), {}

    def chance(values: Any) -> float:
        key = tuple(np.round(values, 9))
        if key not in known:
            asked = replace(stage.question, settings=dict(zip(names, map(float, values), strict=True)))
            answer = respond(stage.fit, stage.parts, stage.outlook, asked)
            known[key] = float(answer.probability.to_numpy()[..., -1, place].mean())
        return known[key]

    return chance


def _corrected(find: Callable[[float], Tipping], exact: Callable[[Any], float], goal: float, bias: float) -> Tipping:
    """Return the move that reaches a goal by all draws: the few on which is searched lie a little off, at its start and at its end."""
    first = find(float(expit(logit(goal) + bias)))
    if np.isinf(first.size):
        return first
    second = find(float(expit(logit(goal) + logit(first.probability) - logit(exact(first.end)))))
    return first if np.isinf(second.size) else second


def _alone(chance: Callable[[Any], float], start: Any, place: int, ends: Any, sd: float, target: float) -> Tipping:
    """Return the smallest move of one indicator that reaches a target."""
    found = []
    for end in ends:
        goal = np.where(np.arange(len(start)) == place, end, start)
        probabilities = [chance(start + share * (goal - start)) for share in np.linspace(0, 1, STEPS)]
        if max(probabilities) >= target:
            share = _first_share(_along(chance, start, goal), target)
            stop = start + share * (goal - start)
            found.append(Tipping(stop, abs(stop[place] - start[place]) / sd, chance(stop)))
        else:
            best = start + np.linspace(0, 1, STEPS)[int(np.argmax(probabilities))] * (goal - start)
            found.append(Tipping(best, float("inf"), max(probabilities)))
    return min(found, key=lambda tipping: (tipping.size, -tipping.probability))


def _tell(
    stage: Stage,
    names: Sequence[str],
    outcome: str,
    aim: tuple[str, float, float],
    what: str,
    start: Any,
    found: Tipping,
) -> dict[str, Any]:
    target, goal, now = aim
    spreads = np.ptp([stage.data.codebook.indicators[name].range for name in names], axis=1)
    moved = [place for place in np.argsort(-np.abs(found.end - start) / spreads) if abs(found.end[place] - start[place]) > 0.01 * spreads[place]]  # fmt: skip
    settings = {names[place]: float(found.end[place]) for place in moved}
    return {
        "outcome": outcome, "target": target, "goal": goal, "indicator": what, "now": now, "size": found.size,
        "chance": float(ndtr(-found.size)), "reached": _chance(stage, names, outcome)(found.end),
        "move": ", ".join(f"{names[place]} {start[place]:.2f} to {found.end[place]:.2f}" for place in moved),
        "verdict": judge_size(found.size), "warning": warn(stage, settings),
    }  # fmt: skip


def judge_size(size: float) -> str:
    """Return in words whether a move is credible.

    Examples
    --------
    >>> judge_size(1.2), judge_size(3.0), judge_size(float("inf"))
    ('a credible move does it', 'no plausible move does it: history has hardly seen one so large', 'no move inside the range does it')
    """
    if np.isinf(size):
        return "no move inside the range does it"
    return "a credible move does it" if size <= CREDIBLE else "no plausible move does it: history has hardly seen one so large"  # fmt: skip
