"""Count crude facts about leaders' removals in public files, beside figures counted by others.

    python docs/facts.py SOURCES          write docs/facts.md
    python docs/facts.py SOURCES --print  only print it

SOURCES holds the publishers' files, as for `forecast init --panel`. The rule of most facts is simple on purpose: the
leader in office on 1 January, and how Archigos says he left in that year. The panel itself uses exact spells.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent))
from forecast.concordance import SAME_STATE
from forecast.importers import REGISTRY
from forecast.outcomes import TYPED_FROM, last_coup_day, last_day

NEEDED = ("archigos", "powell_thyne", "cow_wars", "gwf", "vdem")
POST_SOVIET = (359, *range(365, 374), *range(701, 706))
LONG = 10  # years in office of a long-ruling leader
STATED = {
    "all": ("2.4", "0.6", "1919-2015"),
    "recent": ("0.9", "0.6", "1992-2015"),
    "war": ("3.3", "1.8", "no years given"),
    "peace": ("2.6", "0.6", "no years given"),
    "lost": ("10.7", "5.4", "56 leader-years"),
    "post_soviet": ("0 coups", "7 revolutions", "359 leader-years 1992-2015"),
    "personalist": ("0", "0", "17 leader-years"),
}
LABELS = {
    "all": "all leaders",
    "recent": "all leaders since 1992",
    "war": "inter-state war in the year",
    "peace": "no inter-state war in the year",
    "lost": "last year of an inter-state war that was lost",
    "post_soviet": "post-Soviet states since 1992",
    "personalist": f"personalist leaders in office for {LONG} years or more, at inter-state war",
}


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the data sets that the facts are counted from."""
    found = {name: REGISTRY[name].find(folder) for name in NEEDED}
    if absent := [name for name, path in found.items() if path is None]:
        raise SystemExit(f"{folder} has no file of {', '.join(absent)}")
    return {name: REGISTRY[name].read(path) for name, path in found.items()}


def leader_years(archigos: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each leader in office on 1 January, with the manner of his exit in that year."""
    last = last_day(archigos)
    years = pd.DataFrame({"year": range(TYPED_FROM.year, last.year + 1)})
    rows = archigos.merge(years, how="cross")
    new_year = pd.to_datetime(rows["year"].astype(str) + "-01-01")
    held = (rows["start"] <= new_year) & (rows["end"].isna() | (rows["end"] > new_year))
    rows = rows[held].assign(tenure=((new_year - rows["start"]).dt.days / 365.25)[held])
    out = (rows["end"].dt.year == rows["year"]) & (rows["exit"] != "in_office")
    state = rows["state"].astype(int).replace(SAME_STATE)
    return rows.assign(state=state, exit=rows["exit"].where(out))[["state", "year", "tenure", "exit"]]


def war_years(wars: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each state and year at inter-state war, with whether it is the last year of a lost war."""
    spans = [range(a, b + 1) for a, b in zip(wars["start"].dt.year, wars["end"].dt.year, strict=True)]
    rows = wars.assign(year=spans, final=wars["end"].dt.year).explode("year").astype({"year": int})
    lost = rows["lost"].astype(bool) & (rows["final"] == rows["year"])
    rows = rows.assign(state=rows["state"].astype(int).replace(SAME_STATE), lost=lost)
    return rows.groupby(["state", "year"], as_index=False)["lost"].max().assign(war=True)


def with_conditions(data: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return leader-years with war and regime."""
    gwf = data["gwf"].assign(
        state=data["gwf"]["state"].astype(int).replace(SAME_STATE), year=data["gwf"]["year"].astype(int)
    )
    rows = leader_years(data["archigos"]).merge(war_years(data["cow_wars"]), "left", ["state", "year"])
    rows = rows.merge(gwf.drop_duplicates(["state", "year"])[["state", "year", "type"]], "left", ["state", "year"])
    return rows.assign(
        war=rows["war"].eq(True), lost=rows["lost"].eq(True), personal=rows["type"].str.contains("personal").eq(True)
    )


def classes(rows: pd.DataFrame, wars_to: int) -> dict[str, pd.DataFrame]:
    """Return the leader-years of each reference class."""
    known = rows[rows["year"] <= wars_to]
    return {
        "all": rows,
        "recent": rows[rows["year"] >= 1992],
        "war": known[known["war"]],
        "peace": known[~known["war"]],
        "lost": known[known["lost"]],
        "post_soviet": rows[rows["state"].isin(POST_SOVIET) & (rows["year"] >= 1992)],
        "personalist": known[known["personal"] & known["war"] & (known["tenure"] >= LONG)],
    }


def count(data: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return leader-years, removals and rates of each reference class."""
    wars_to = data["cow_wars"]["end"].max().year
    lines = {}
    for name, own in classes(with_conditions(data), wars_to).items():
        coups, revolutions = ((own["exit"] == exit_).sum() for exit_ in ("coup", "revolution"))
        span = f"{own['year'].min()}-{own['year'].max()}"
        rates = [100 * n / len(own) if len(own) else np.nan for n in (coups, revolutions)]
        lines[name] = (span, len(own), coups, rates[0], revolutions, rates[1])
    return pd.DataFrame.from_dict(
        lines, orient="index", columns=["years", "n", "coups", "coup_rate", "revolutions", "revolution_rate"]
    )


def lost_by_the_rule(archigos: pd.DataFrame) -> tuple[int, int]:
    """Return coup exits since exits are typed, and those of leaders who were not in office on a 1 January of that year."""
    coups = archigos[(archigos["exit"] == "coup") & (archigos["end"] >= pd.Timestamp(TYPED_FROM))]
    missed = coups["start"] > pd.to_datetime(coups["end"].dt.year.astype(str) + "-01-01")
    return len(coups), int(missed.sum())


def attempts(data: dict[str, pd.DataFrame]) -> tuple[int, int, int, int]:
    """Return coup attempts, successes, and the years that they cover."""
    coups = data["powell_thyne"]
    last = last_coup_day(coups)
    own = coups[coups["day"] <= pd.Timestamp(last)]
    return len(own), int(own["successful"].sum()), own["day"].min().year, last.year


def exact_revolutions(archigos: pd.DataFrame) -> int:
    """Return the removals by uprising in post-Soviet states since 1992, by exact spells."""
    own = archigos[archigos["state"].isin(POST_SOVIET) & (archigos["exit"] == "revolution")]
    return int((own["end"].dt.year >= 1992).sum())


def share_of_error(vdem: pd.DataFrame) -> float:
    """Return the part of the variance of polyarchy since 1950 that V-Dem's own error is: by so much it weakens an effect."""
    own = vdem[vdem["year"] >= 1950]
    return float((own["sd"] ** 2).mean() / own["value"].var())


def report(folder: Path) -> str:
    """Return the facts as Markdown."""
    data = read(folder)
    table = count(data)
    lines = ["# Crude facts about removals", "", "Made by `python docs/facts.py SOURCES`; do not edit.", ""]
    lines += [
        "Leader in office on 1 January; removal in that year by a coup or by an uprising, as Archigos types the exit; per 100",
        "leader-years. War: Correlates of War. Personalist: Geddes, Wright and Frantz. These are reference classes, not effects:",
        "nothing else is held constant.",
        "",
        "| reference class | years | leader-years | coups | per 100 | stated | revolutions | per 100 | stated | stated for |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in table.iterrows():
        coup, revolution, where = STATED[name]
        lines.append(
            f"| {LABELS[name]} | {row['years']} | {row['n']} | {row['coups']} | {row['coup_rate']:.1f} | {coup} "
            f"| {row['revolutions']} | {row['revolution_rate']:.1f} | {revolution} | {where} |"
        )
    total, missed = lost_by_the_rule(data["archigos"])
    tried, won, first, last = attempts(data)
    lines += [
        "",
        f'- The rule "leader on 1 January" loses {missed} of {total} coup exits ({missed / total:.0%}): leaders who came and went',
        "  inside a year (stated: a quarter). The panel uses exact spells.",
        f"- Of {tried} coup attempts {first}-{last} (Powell and Thyne), {won} succeeded ({won / tried:.0%}; stated: half).",
        f"- Post-Soviet removals by uprising since 1992 by exact spells: {exact_revolutions(data['archigos'])} (stated to 2015: 8).",
        f"- V-Dem's standard errors are {share_of_error(data['vdem']):.1%} of the variance of its index of electoral democracy since 1950.",
        "- Files that give wars by year cannot say how many of the war-year coups came before the war (stated: six of fifteen).",
        "- Stated figures were counted by others from files that run to 2015; orders of magnitude, not targets.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--print", action="store_true", dest="only_print")
    asked = parser.parse_args()
    text = report(asked.sources)
    print(text, end="")
    if not asked.only_print:
        (Path(__file__).parent / "facts.md").write_text(text, encoding="utf-8")
