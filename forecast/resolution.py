"""What became of a question, by the written rules, and how often each outcome happened before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from forecast.data import Data
from forecast.schema import OUTCOMES

REMOVALS = {"coup_attempt": "coup", "uprising": "revolution"}
PRIOR = 0.5  # Jeffreys' share of a case for each outcome, so that what never happened is not impossible


@dataclass(frozen=True)
class Resolution:
    """The outcome that came true, or why there is none.

    Attributes
    ----------
    outcome : str or None
    reason : str
        Empty where there is an outcome.
    due : bool
        The horizon is over and coded.
    """

    outcome: str | None
    reason: str = ""
    due: bool = True


def resolve(data: Data, country: str, leader: str, as_of: date, end: date) -> Resolution:
    """Return what became of a leader's question, from what is known today.

    Parameters
    ----------
    data : Data
        Today's view.
    country, leader : str
    as_of, end : date
        The day that was forecast from, and the last day of the horizon.
    """
    if end > data.known_to:
        return Resolution(None, f"open until {end}; the data are coded to {data.known_to}", due=False)
    first, last = pd.Timestamp(as_of), pd.Timestamp(end)
    spells = data.leaders[(data.leaders["country"] == country) & (data.leaders["start"] <= first)]
    spells = spells[~(spells["end"] <= first)]
    if len(spells) != 1 or (spell := spells.iloc[0])["leader"] != leader:
        coded = " and ".join(spells["leader"]) or "nobody"
        return Resolution(None, f"{coded} is coded in office on {as_of} today, not {leader}")
    events = data.events[(data.events["country"] == country) & ~(data.events["end"] <= first)]
    if spell["end"] <= last:
        return _by_exit(spell, events)
    own = events[(events["start"] >= spell["start"]) & (events["start"] <= last)]
    return Resolution("survives_unchallenged" if own.empty else "survives_challenged")


def _by_exit(spell: pd.Series, events: pd.DataFrame) -> Resolution:
    if spell["exit"] == "frame_end":
        return Resolution(None, f"the frame ends on {spell['end'].date()}, and nobody looks further")
    kinds = set(events.loc[(events["end"] == spell["end"]) & (events["result"] == "removed"), "kind"])
    if len(kinds) > 1:
        return Resolution(None, f"contested: a coup attempt and an uprising both removed the leader on {spell['end'].date()}")  # fmt: skip
    return Resolution(spell["exit"] if spell["exit"] in REMOVALS.values() else "other_exit")


def climatology(view: Data, country: str, months: int) -> dict[str, float]:
    """Return how often each outcome happened over as many months before a view, in the country's frame.

    Every leader in office on the last day of a year counts whose horizon was over on the last day of the view.

    Parameters
    ----------
    view : Data
        As of the day of the forecast, so that nothing later is counted.
    country : str
    months : int
    """
    frames = view.countries.loc[view.countries["country"] == country, "frame"].unique()
    own = view.in_frames(list(frames))
    cases = list_cases(own, months)
    counts = cases.value_counts().reindex(list(OUTCOMES), fill_value=0) + PRIOR
    shares: dict[str, float] = (counts / counts.sum()).to_dict()
    return shares


def list_cases(view: Data, months: int) -> pd.Series:
    """Return the outcome of every leader in office on the last day of each year, as far as it is known and clear."""
    spells = view.leaders
    last = pd.Timestamp(view.known_to) - pd.DateOffset(months=months)
    days = pd.date_range(spells["start"].min(), last, freq="YE")
    found = [
        resolve(view, spell.country, spell.leader, day.date(), (day + pd.DateOffset(months=months)).date()).outcome
        for day in days
        for spell in spells[(spells["start"] <= day) & ~(spells["end"] <= day)].itertuples()
    ]
    return pd.Series([outcome for outcome in found if outcome], dtype="str")
