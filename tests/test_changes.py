"""What moved a forecast: the parts add up, a planted cause is found, and nothing is made of noise."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecast import publishing
from forecast.changes import EVENTS, MODEL, NOISE, RECODING, explain_change, explain_issue, preview, recode
from forecast.engine import _keep
from forecast.errors import UsageError
from forecast.ledger import append_rows, rows_of
from forecast.prediction import answer, ask, look_ahead
from forecast.publishing import look_back
from forecast.schema import OUTCOMES
from forecast.update import reweigh, settle

EARLIER, LATER = "2022-03-31", "2022-06-30"


@pytest.fixture(scope="module")
def root(tiny_data, tiny_spec):
    from forecast.inference import fit

    return fit(tiny_data.as_of(EARLIER), tiny_spec)


def push(data, indicator, value, day="2022-05-10", country="KGZ", known="2022-05-12"):
    """Return a study with one reading more."""
    own = data.indicators[(data.indicators["country"] == country) & (data.indicators["indicator"] == indicator)]
    stamps = {"observed_on": pd.Timestamp(day).as_unit("s"), "known_on": pd.Timestamp(known).as_unit("s")}
    row = own.tail(1).assign(value=value, low=max(value - 0.05, -1), high=min(value + 0.05, 1), **stamps)
    grown = pd.concat([data.indicators, row], ignore_index=True)
    return replace(data, indicators=grown.astype(data.indicators.dtypes))


def parts_of(table):
    return table.drop(index=["before", "after"])


def with_random_news(data, seed):
    rng = np.random.default_rng(seed)
    for name in rng.choice(["elite_division", "repression", "sanctions", "opposition_unity"], 2, replace=False):
        data = push(data, name, float(rng.uniform(0.05, 0.95)))
    return data


@pytest.mark.parametrize("seed", range(4))
def test_the_parts_add_up(root, tiny_data, seed):
    data = with_random_news(tiny_data, seed)
    table = explain_change((root, tiny_data.as_of(EARLIER)), (root, data.as_of(LATER)), "KGZ", 12)
    np.testing.assert_allclose(parts_of(table).sum(), table.loc["after"] - table.loc["before"], atol=1e-12)
    np.testing.assert_allclose(table.loc[["before", "after"]].sum(axis=1), 1, atol=1e-12)
    assert list(table.columns) == list(OUTCOMES)
    noise = table.attrs["noise"]
    shown = parts_of(table).drop(index=NOISE)
    assert ((shown == 0) | (shown.abs() > 2 * noise.loc[shown.index])).all(axis=None)


def test_no_step_is_left_out(root, tiny_data, monkeypatch):
    """Noise is what is left, so it could hide a lost step: with nothing counted as noise and one sample, none is left."""
    monkeypatch.setattr("forecast.changes.NOISE_SDS", 0.0)
    data = with_random_news(tiny_data, 0)
    table = explain_change((root, tiny_data.as_of(EARLIER)), (root, data.as_of(LATER)), "KGZ", 12)
    assert (table.loc[NOISE].abs() < 1e-12).all()
    assert (parts_of(table).abs().sum(axis=1) > 1e-6).sum() >= 3


def test_a_planted_cause_is_found(root, tiny_data):
    """Only one indicator has news, and it is extreme: it accounts for what moved beside elapsed time."""
    before = tiny_data.as_of(EARLIER)
    quiet = replace(tiny_data, indicators=before.indicators, corrected={})
    planted = push(quiet, "mobilisation_capacity", 1.0)
    planted = push(planted, "opposition_unity", 1.0)
    table = explain_change((root, before), (root, planted.as_of(LATER)), "KGZ", 12)
    named = set(parts_of(table).index) - {RECODING, EVENTS, NOISE}
    assert named == {"mobilisation_capacity", "opposition_unity"}
    assert (table.loc[RECODING] == 0).all()
    same = explain_change((root, before), (root, quiet.as_of(LATER)), "KGZ", 12)
    moved = table.loc["after", "survives_unchallenged"] - same.loc["after", "survives_unchallenged"]
    found = table.loc[list(named), "survives_unchallenged"].sum()
    assert abs(moved) > 0.005
    assert found == pytest.approx(moved, abs=0.2 * abs(moved) + 0.004)


def test_a_recoding_is_told_from_news(root, tiny_data):
    """A reading of the past is corrected after the first day, and nothing else is new on the second."""
    before = tiny_data.as_of(EARLIER)
    last = before.indicators[(before.indicators["country"] == "KGZ") & (before.indicators["indicator"] == "mobilisation_capacity")].tail(1)  # fmt: skip
    changed = before.indicators.copy()
    changed.loc[last.index, ["value", "low", "high"]] = [0.02, 0.0, 0.04] if float(last["value"].iloc[0]) > 0.5 else [0.98, 0.96, 1.0]  # fmt: skip
    after = replace(before, indicators=changed)
    table = explain_change((root, before), (root, after), "KGZ", 12)
    assert set(parts_of(table).index) == {RECODING, EVENTS, NOISE}
    assert abs(table.loc[RECODING, "survives_unchallenged"]) > 0.005
    assert (table.loc[EVENTS] == 0).all()


def test_a_corrected_event_is_a_recoding(tiny_data):
    """The correction is known only later; what it says of the past still counts as re-coding, and its end as news."""
    before, stamp = tiny_data.as_of(EARLIER), pd.Timestamp("2022-05-01").as_unit("s")
    past = tiny_data.events["event_id"] == before.events["event_id"].iloc[-1]
    events = tiny_data.events.assign(
        armed=tiny_data.events["armed"] ^ past, known_on=tiny_data.events["known_on"].mask(past, stamp)
    )
    after = replace(tiny_data, events=events, corrected={}).as_of(LATER)
    seen = recode(before, after)
    assert list(seen.events["event_id"]) == list(before.events["event_id"])
    assert (seen.events["armed"] != before.events["armed"]).sum() == 1
    assert seen.known_to == before.known_to
    assert len(seen.indicators) == len(before.indicators)


def test_nothing_new_moves_nothing(root, tiny_data):
    view = tiny_data.as_of(EARLIER)
    table = explain_change((root, view), (root, view), "KGZ", 12)
    assert (parts_of(table) == 0).all(axis=None)


def test_another_leader_is_another_question(root, tiny_data):
    with pytest.raises(UsageError, match="another leader"):
        explain_change((root, tiny_data.as_of("2020-06-30")), (root, tiny_data.as_of(LATER)), "KGZ", 12)


def test_a_preview_shows_what_new_rows_would_do(root, tiny_data):
    view = tiny_data.as_of(LATER)
    table = preview(root, view, push(tiny_data, "mobilisation_capacity", 1.0).as_of(LATER), "KGZ", 12)
    assert abs(table["change"]).max() > 0.002
    assert table["change"].sum() == pytest.approx(0, abs=1e-12)


def test_knowledge_of_today_changes_no_earlier_forecast(root, tiny_data):
    """A reading about early 2022 that was known only in 2024."""
    later = push(tiny_data, "elite_division", 1.0, day="2022-01-15", known="2024-06-01")
    assert later.as_of("2022-12-31").digest == tiny_data.as_of("2022-12-31").digest
    assert later.digest != tiny_data.digest
    assert later.as_of(date(2024, 6, 1)).digest != tiny_data.as_of(date(2024, 6, 1)).digest


# --- an issue in the ledger


@pytest.fixture(scope="module")
def now(root, tiny_data):
    """The forecast of the later day, by weights on the earlier fit."""
    view = tiny_data.as_of(LATER)
    fitted = settle(reweigh(root, view), root, view)
    question = ask(view, "KGZ", 12)
    return fitted, view, answer(fitted, look_ahead(fitted, view, question), question)


def issued(fitted, view, path):
    """Record the forecast of a view."""
    question = ask(view, "KGZ", 12)
    forecast = answer(fitted, look_ahead(fitted, view, question), question)
    return append_rows(rows_of(forecast, fitted, view.known_to), path)


def test_the_change_since_an_issue_is_split_and_kept(root, tiny_data, now, tmp_path, monkeypatch):
    """Without being asked to, a report shows what was split before and splits nothing."""
    fitted, view, forecast = now
    issued(root, tiny_data.as_of(EARLIER), tmp_path / "ledger.csv")
    monkeypatch.setattr(publishing, "run_jobs", lambda work, jobs, folder, shared, *_, **__: ({}, [job for job in jobs if not _keep(folder, job, work(shared, job))]))  # fmt: skip
    about = (fitted, view, [forecast.question], tmp_path, tmp_path)
    assert "causes" not in look_back(*about)["KGZ"].issues[-1]
    split = look_back(*about, split=["KGZ"])["KGZ"]
    assert look_back(*about)["KGZ"] == split
    issue = split.issues[-1]
    assert list(issue["causes"])[-1] == NOISE
    assert {EVENTS, "elite_division"} & set(issue["causes"])
    assert RECODING not in issue["causes"]
    end = forecast.probability.isel(month=-1).mean(("chain", "draw"))
    for outcome, line in issue["outcomes"].items():
        moved = float(end.sel(outcome=outcome)) - line["probability"]
        # The draws of the settled fit were drawn again from the weighted ones, which is in the noise.
        assert sum(part[outcome] for part in issue["causes"].values()) == pytest.approx(moved, abs=1e-9)
    assert split.record["issued"] == 1


@pytest.mark.parametrize(
    ("other", "name"),
    [({"data_digest": "0"}, RECODING), ({"version": "0"}, MODEL), ({"data_digest": "0", "spec_digest": "0"}, f"{RECODING}, and another {MODEL}")],
)  # fmt: skip
def test_an_issue_of_the_same_day_differs_by_what_its_digests_say(now, other, name):
    fitted, view, forecast = now
    end = forecast.probability.isel(month=-1).mean(("chain", "draw"))
    facts = fitted.provenance
    same = {"data_digest": view.digest, "spec_digest": facts["spec_digest"], "version": facts["versions"]["regime-forecast"]}  # fmt: skip
    moved = {str(outcome): {"probability": float(end.sel(outcome=outcome)) + shift} for outcome, shift in zip(OUTCOMES, (0.05, 0, 0, -0.05, 0), strict=True)}  # fmt: skip
    issue = {"as_of": LATER, **same, **other, "outcomes": moved}
    parts = explain_issue(fitted, view, forecast, issue)
    assert set(parts) == {name, NOISE}
    assert parts[name]["coup"] == pytest.approx(-0.05)
    assert parts[name]["revolution"] == 0
    assert set(explain_issue(fitted, view, forecast, {**issue, **same})) == {NOISE}
