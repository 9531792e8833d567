"""Write what the comparison with the public data sets finds: docs/concordance.md.

python docs/concordance.py DIR    DIR holds the publishers' files; none of them is copied
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

import forecast
from forecast.concordance import compare, headlines, read_reasons, summarise
from forecast.data import Data

DOCS = Path(__file__).parent
SINCE = pd.Timestamp("1991-08-01")  # the republics enter the frame in the autumn of 1991
REMOVED = ("coup", "revolution")
LISTS = ("powell_thyne", "navco")
SHORTFALL = (
    "The share of spells falls short of its target because every spell that is not within a month stands on a fact that",
    "Archigos has otherwise, and not on a reading of it: it gives a state to an occupier or to nobody while its own",
    "government still fought there or was back (Belgium, Norway, China, Kuwait), knows no Provisional Government in Russia and",
    "no Great Cabinet at Constantinople, keeps the sultan to 1922 while Ankara ruled and fought, has Forde lead Australia while",
    "he was in San Francisco and Pol Pot lead Cambodia a week before Phnom Penh fell, and ends Gorbachev by a coup that failed.",
    "His is the one date on which it could be followed: Yeltsin had the greater power in Moscow from 21 August 1991; but he was",
    "not yet leader of the Soviet Union, and these two spells alone would not reach the target.",
)


def page(table: pd.DataFrame, data: Data) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Concordance with public data",
        "",
        "Made by `python docs/concordance.py DIR` from the publishers' own files (see `forecast/importers`), for the days",
        "and countries that both cover. A spell that lies where Archigos names nobody is *not covered*. Every difference has",
        "its reason in `data/concordance.csv`, or `forecast check --against DIR` fails.",
        "",
        *(f"- {line}" for line in headlines(table)),
        "",
        *SHORTFALL,
        "",
        *_counts(summarise(table)),
        "## Leader spells that differ from Archigos",
        "",
        *_differences(table[(table["item"] == "spell") & (table["verdict"] != "agree")]),
        "## Exits that differ from Archigos",
        "",
        *_differences(table[(table["item"] == "exit") & (table["verdict"] != "agree")]),
        "## Challenges of Powell and Thyne and of NAVCO that differ or are not here",
        "",
        *_differences(table[table["dataset"].isin(LISTS) & table["verdict"].isin(["differ", "only there"])]),
        *_post_soviet(table, data),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _counts(summary: pd.DataFrame) -> list[str]:
    names = [name for name in summary.columns if name != "agreement"]
    lines = [
        f"| {dataset} | {item} | {line['agreement']:.0%} | " + " | ".join(str(int(line[name])) for name in names) + " |"
        for (dataset, item), line in summary.iterrows()
    ]
    head = "| data set | what | agreement | " + " | ".join(names).replace("explained", "with a reason") + " |"
    return [head, "|---|---|" + "---:|" * (len(names) + 1), *lines, ""]


def _differences(rows: pd.DataFrame) -> list[str]:
    ordered = rows.sort_values(["country", "ours", "theirs"])
    return [
        "| country | here | there | verdict | why |",
        "|---|---|---|---|---|",
        *(f"| {r.country} | {r.ours} | {r.theirs} | {r.verdict} | {r.reason} |" for r in ordered.itertuples()),
        "",
    ]


def _post_soviet(table: pd.DataFrame, data: Data) -> list[str]:
    """Return removals and coup attempts in the post-Soviet states, there and here."""
    census = set(data.countries.loc[data.countries["frame"] == "post_soviet_census", "country"])
    rows = table[table["country"].isin(census) & (table["day_theirs"].fillna(table["day_ours"]) >= SINCE)]
    exits = rows[(rows["dataset"] == "archigos") & (rows["item"] == "exit")]
    here, there = (exits["detail"].str.contains(f"(?:{'|'.join(REMOVED)}) {side}") for side in ("here", "there"))
    return [
        "## Post-Soviet states: what public data say to 2010",
        "",
        "Powell and Thyne list three coup attempts, none of them successful.",
        "",
        *_told(rows[(rows["dataset"] == "powell_thyne") & (rows["theirs"] != "")]),
        "Archigos lists eight removals by popular protest or rebels, and one by the military (Gorbachev).",
        "",
        *_told(exits[there]),
        "Removals here that it has as regular:",
        "",
        *_told(exits[here & ~there]),
        "After the copy compared ends, Archigos has the exit of Yanukovych in 2014 as regular, by vote of parliament. Here:",
        "",
        f"- {_note(data, 'UKR-2010-yanukovych')}",
        "",
    ]


def _told(rows: pd.DataFrame) -> list[str]:
    ordered = rows.assign(day=rows["day_theirs"].fillna(rows["day_ours"])).sort_values("day")
    lines = [
        f"- {r.day:%Y-%m-%d} {r.country} {r.theirs}: {r.detail}{f' ({r.reason})' if r.reason else ''}; {r.verdict}"
        for r in ordered.itertuples()
    ]
    return [*lines, ""]


def _note(data: Data, spell: str) -> str:
    row = data.leaders.set_index("spell_id").loc[spell]
    return f"{row['end']:%Y-%m-%d} {row['leader']}: {row['exit']}; {row['note']}"


def main() -> None:
    """Write the page."""
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/concordance.py DIR")
    study = forecast.find_study(DOCS.parent)
    data = forecast.load_data(study.data)
    table = compare(data, Path(sys.argv[1]), read_reasons(study.data / "concordance.csv"))
    (DOCS / "concordance.md").write_text(page(table, data), encoding="utf-8")
    print("wrote docs/concordance.md")


if __name__ == "__main__":
    main()
