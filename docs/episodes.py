"""Forecast known episodes as of the day before, from what was known then, and say what happened next.

Each line is a fit to the data as of its date, so nothing later is known to it. Writes docs/episodes.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

import forecast
from forecast.inference import fit_or_load
from forecast.prediction import predict, require_mixed, summarise
from forecast.schema import OUTCOMES

EPISODES = (
    ("RUS", "1904-12-31", "Revolution of 1905: the October Manifesto conceded a parliament, Nicholas II stayed"),
    ("RUS", "1916-12-31", "February Revolution: Nicholas II abdicated on 15 March 1917"),
    ("RUS", "1964-09-30", "Khrushchev removed by the Presidium on 14-15 October 1964"),
    ("KGZ", "2005-02-28", "Tulip Revolution: Akayev fled on 24 March 2005"),
    ("UKR", "2013-11-30", "Euromaidan: Yanukovych fled on 22 February 2014"),
    ("KAZ", "2019-06-30", "Tokayev, in office since March 2019, stayed; the next uprising came in January 2022"),
    ("BLR", "2020-07-31", "Mass uprising from 9 August 2020, which failed; Lukashenko stayed"),
    ("RUS", "2022-03-31", "Wagner's march of June 2023 failed; Putin stayed"),
)
HORIZON = 24
SURPRISE = 0.10
FEW = 20  # challenges under which a fit says little that is not in its prior


class Given(NamedTuple):
    """What a forecast gave to the outcome that came true, and to the likeliest; challenges that its fit knew."""

    name: str
    outcome: str
    happened: float
    most: float
    challenges: int


def main() -> None:
    """Write the table."""
    study = forecast.find_study(Path(__file__).parent.parent)
    data = forecast.load_data(study.data)
    made = [line_of(study, data, *episode) for episode in EPISODES]
    text = "\n".join([*HEAD, *(line for line, _ in made), "", *verdict([given for _, given in made])])
    (Path(__file__).parent / "episodes.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def verdict(given: list[Given]) -> list[str]:
    """Return where the model was surprised, in words."""
    surprised = [f"{g.name} ({g.happened:.1%})" for g in given if g.happened < SURPRISE]
    removed = [g.happened for g in given if g.outcome in ("coup", "revolution")]
    likeliest = sum(g.happened == g.most for g in given)
    few = [g for g in given if g.challenges < FEW]
    return [
        f"The model was surprised in {len(surprised)} of {len(given)} episodes: {', '.join(surprised)}.",
        f"What it held likeliest came true in {likeliest}.",
        f"To the {len(removed)} removals it gave between {min(removed):.1%} and {max(removed):.1%}: it saw none of them coming.",
        f"Of the fits, {', '.join(f'{g.name} knew {g.challenges} challenges' for g in few)}: what they say is mostly the prior.",
    ]


def line_of(study, data, country: str, as_of: str, told: str) -> tuple[str, Given]:  # type: ignore[no-untyped-def]
    """Return one line of the table, and what was given to what happened."""
    view = data.as_of(as_of)
    spec = forecast.load_spec(study.models / "default.toml", known_to=view.known_to)
    fitted, _ = fit_or_load(study.build, view, spec)
    fitted.require_gate()
    result = predict(fitted, view, country, HORIZON)
    require_mixed(result, spec.gate)
    table = summarise(result)
    cells = [
        f"{table.loc[name, 'probability']:.1%} ({table.loc[name, 'p05']:.1%}-{table.loc[name, 'p95']:.1%})"
        for name in OUTCOMES
    ]
    outcome = resolve(data, result.question)
    happened = table.loc[outcome, "probability"]
    mark = f"{outcome.replace('_', ' ')}: {happened:.1%}" + (", **surprised**" if happened < SURPRISE else "")
    line = f"| {country} {as_of} | {result.question.leader} | {' | '.join(cells)} | {told} | {mark} |"
    known = len(view.in_frames(spec.frames).events)
    return line, Given(f"{country} {as_of}", outcome, happened, table["probability"].max(), known)


def resolve(data: forecast.Data, question: forecast.prediction.Question) -> str:  # type: ignore[name-defined]
    """Return the outcome that came true by the written rules, from what is known today."""
    spell = data.leaders.set_index("spell_id").loc[question.spell]
    if spell["end"] <= pd.Timestamp(question.end):
        return spell["exit"] if spell["exit"] in ("coup", "revolution") else "other_exit"
    own = data.events[(data.events["country"] == question.country) & (data.events["start"] >= spell["start"])]
    over = own["end"] <= pd.Timestamp(question.as_of)
    challenged = ((own["start"] <= pd.Timestamp(question.end)) & ~over).any()
    return "survives_challenged" if challenged else "survives_unchallenged"


HEAD = [
    "# Known episodes, forecast from what was known",
    "",
    "Made by `python docs/episodes.py`. Each line is a fit to the data as of its date and a forecast over 24 months: probability",
    "and 90% interval. The last column is the outcome by the resolution rules and the probability that the model gave to it; under 10%",
    "it was surprised.",
    "The readings were coded later by people who knew the outcome, so these are tests of the machinery and of plausibility, not",
    "of skill.",
    "",
    "| as of | leader | coup | revolution | other exit | survives, challenged | survives, unchallenged | what happened | outcome, and what the model gave it |",
    "|---|---|---:|---:|---:|---:|---:|---|---:|",
]

if __name__ == "__main__":
    main()
