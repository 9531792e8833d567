"""The crude facts that a correct import reproduces: orders of magnitude, counted by an independent script."""

import importlib.util
import os
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).parent.parent
SOURCES = Path(os.environ.get("FORECAST_SOURCES", REPOSITORY.parent / "shared" / "sources"))


@pytest.fixture(scope="module")
def facts():
    specification = importlib.util.spec_from_file_location("facts", REPOSITORY / "docs" / "facts.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_leader_years_are_those_of_new_year_with_the_exit_of_that_year(facts):
    day = pd.Timestamp
    spells = pd.DataFrame(
        {
            "state": [40, 40, 40], "leader": ["A", "B", "C"], "exit": ["coup", "regular", "in_office"],
            "start": [day("2007-06-01"), day("2009-02-01"), day("2009-08-01")],
            "end": [day("2009-02-01"), day("2009-08-01"), day("2010-12-31")],
        }
    )  # fmt: skip
    rows = facts.leader_years(spells).fillna("")
    assert rows[["year", "exit"]].to_numpy().tolist() == [[2008, ""], [2009, "coup"], [2010, ""]]
    assert facts.lost_by_the_rule(spells) == (1, 0)


@pytest.fixture(scope="module")
def counted(facts):
    if not SOURCES.is_dir():
        pytest.skip(f"no public data in {SOURCES}; set FORECAST_SOURCES to the folder that holds them")
    return facts.count(facts.read(SOURCES))


@pytest.mark.parametrize(
    ("name", "coups", "revolutions"),
    [("all", 2.4, 0.6), ("recent", 0.9, 0.6), ("war", 3.3, 1.8), ("peace", 2.6, 0.6), ("lost", 10.7, 5.4)],
)
def test_rates_are_those_stated(counted, name, coups, revolutions):
    assert counted.loc[name, "coup_rate"] == pytest.approx(coups, rel=0.3)
    assert counted.loc[name, "revolution_rate"] == pytest.approx(revolutions, rel=0.3)


def test_small_reference_classes_are_those_stated(counted, facts):
    assert counted.loc["post_soviet", ["coups", "revolutions"]].tolist() == [0, 7]
    assert counted.loc["personalist", ["n", "coups", "revolutions"]].tolist() == [17, 0, 0]
    archigos = facts.read(SOURCES)["archigos"]
    assert facts.exact_revolutions(archigos) == 8
    total, missed = facts.lost_by_the_rule(archigos)
    assert missed / total == pytest.approx(0.25, abs=0.05)


def test_the_page_is_written_from_the_files(counted, facts):
    text = facts.report(SOURCES)
    assert text.count("\n|") == 9
    assert "personalist leaders" in text
