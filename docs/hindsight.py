"""How often elite division was read higher in the half year before a challenge: a trace of hindsight, or of warning.

`docs/build.py` writes the page. A coder who knows that a coup came may find its signs easily. What the count can
show is whether one frame differs from the other, and how much of the rise lies inside the month that the model leaves
out (`lag_days`).
"""

from __future__ import annotations

import pandas as pd

from forecast.data import Data

INDICATOR = "elite_division"
RISE = 0.1
WINDOW = pd.Timedelta(days=183)
MONTH = pd.Timedelta(days=30)
KINDS = {"coup_attempt": "coup attempts", "uprising": "uprisings"}


def rises(data: Data, coder: str) -> pd.DataFrame:
    """Return the readings of a coder that are higher than the one before and do not begin a spell."""
    own = data.indicators[(data.indicators["indicator"] == INDICATOR) & (data.indicators["coder"] == coder)]
    own = own.sort_values(["country", "observed_on"])
    step = own["value"] - own.groupby("country")["value"].shift()
    begins = pd.MultiIndex.from_frame(data.leaders[["country", "start"]])
    inside = ~pd.MultiIndex.from_frame(own[["country", "observed_on"]]).isin(begins)
    return own.assign(step=step)[(step >= RISE - 1e-9) & inside]


def before(challenges: pd.DataFrame, up: pd.DataFrame) -> pd.DataFrame:
    """Return the last rise in the half year before each challenge, if there is one."""
    pairs = challenges.merge(up[["country", "observed_on", "step", "note"]], on="country", suffixes=("", "_reading"))
    pairs["lead"] = pairs["start"] - pairs["observed_on"]
    near = pairs[(pairs["lead"] > pd.Timedelta(0)) & (pairs["lead"] <= WINDOW)]
    return near.sort_values("observed_on").drop_duplicates("event_id", keep="last").sort_values(["country", "start"])


def base_rate(data: Data, up: pd.DataFrame) -> float:
    """Return the share of all leader-days that have a rise in the half year before them."""
    days = near = 0
    for spell in data.leaders.itertuples():
        end = pd.Timestamp(data.known_to) if pd.isna(spell.end) else spell.end
        days += (end - spell.start).days
        reached = spell.start
        for day in up.loc[up["country"] == spell.country, "observed_on"]:
            first, last = max(day, reached), min(day + WINDOW, end)
            near += max((last - first).days, 0)
            reached = max(reached, last)
    return near / days


def page(data: Data) -> str:
    """Return the counts by frame, kind and coder, and the coup attempts of the war frame one by one."""
    lines = [
        "# Elite division before challenges",
        "",
        "Made by `make docs`. Share of new challenges with a rise of elite division by 0.1 or more in the 183 days before",
        "them, readings at the start of a spell left out; beside it the share of all leader-days with such a rise before",
        "them, and how many of the rises lie within 30 days of the challenge, which the default model does not see.",
        "[What was made of it](coding.md#hindsight).",
        "",
        "| frame | challenges | coder | number | with a rise | share | all leader-days | ratio | within 30 days |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    told: list[str] = []
    for frame in sorted(data.countries["frame"].unique(), reverse=True):
        view = data.in_frames([frame])
        for coder in ("A", "B"):
            up = rises(view, coder)
            base = base_rate(view, up)
            for kind, name in KINDS.items():
                new = view.events[(view.events["kind"] == kind) & ~view.events["inherited"].astype(bool)]
                found = before(new, up)
                share = len(found) / len(new)
                month = (found["lead"] <= MONTH).sum()
                lines.append(
                    f"| {frame} | {name} | {coder} | {len(new)} | {len(found)} | {share:.0%} | {base:.0%} | "
                    f"{share / base:.1f} | {month} |"
                )
                if coder == "A" and kind == "coup_attempt":
                    told += [
                        f"| {r.event_id} | {r.lead.days} | {r.step:+.2f} | {r.note_reading} |"
                        for r in found.itertuples()
                    ]
    head = ["", "Rises before coup attempts, first coder:", "", "| coup attempt | days before | rise | what was read |"]
    return "\n".join([*lines, *head, "|---|---:|---:|---|", *told]) + "\n"
