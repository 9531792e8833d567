"""What was not known on a day changes no number that is seen from that day, down to the last bit."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecast.explanation import base_rates, drivers
from forecast.inference import describe_run, fit, fit_key
from forecast.prediction import ask, predict

DAY = "2010-03-31"  # a week before the April Revolution in Kyrgyzstan; Georgia is sixteen months after a war


def forget(data, day):
    """Return a study as it would stand if nothing had been written after a day."""
    stamp = pd.Timestamp(day)
    kept = {}
    for name in ("countries", "leaders"):
        kept[name] = getattr(data, name)[getattr(data, name)["start"] <= stamp].copy()
    kept["events"] = data.events[data.events["known_on"] <= stamp].copy()
    for name, unknown in (("leaders", "exit"), ("events", "result"), ("countries", None)):
        later = kept[name]["end"] > stamp
        kept[name].loc[later, "end"] = pd.NaT
        if unknown:
            kept[name].loc[later, unknown] = {"exit": "in_office", "result": "ongoing"}[unknown]
    readings = data.indicators
    kept["indicators"] = readings[(readings["known_on"] <= stamp) & (readings["observed_on"] <= stamp)]
    return replace(data, **{name: frame.reset_index(drop=True) for name, frame in kept.items()})


def invent(data, day):
    """Return a study with later rows that, were they seen, would change everything."""
    stamp = pd.Timestamp(day)
    wild = data.indicators[data.indicators["observed_on"] <= stamp].groupby(["country", "indicator", "coder"]).tail(1)
    top = wild["indicator"].map(lambda name: data.codebook.indicators[name].range[1])
    later = wild.assign(value=top, low=top, high=top, known_on=stamp + pd.Timedelta(days=1))
    about_then = later.assign(observed_on=stamp - pd.Timedelta(days=1))  # about days before, known after
    risings = data.events.tail(1).assign(
        event_id=["KGZ-2010-invented"], country="KGZ", start=stamp - pd.Timedelta(days=30),
        end=stamp - pd.Timedelta(days=3), result="removed", known_on=stamp + pd.Timedelta(days=1),
    )  # fmt: skip
    readings = pd.concat([data.indicators, later.assign(observed_on=stamp), about_then], ignore_index=True)
    events = pd.concat([data.events, risings], ignore_index=True)
    return replace(data, indicators=readings.astype(data.indicators.dtypes), events=events.astype(data.events.dtypes))


@pytest.fixture(scope="module")
def views(tiny_data):
    return {
        "as it stands": tiny_data.as_of(DAY),
        "later rows deleted": forget(tiny_data, DAY).as_of(DAY),
        "later rows invented": invent(tiny_data, DAY).as_of(DAY),
    }


def test_the_studies_differ_and_their_views_do_not(tiny_data, views):
    assert len(forget(tiny_data, DAY).indicators) < len(tiny_data.indicators) < len(invent(tiny_data, DAY).indicators)
    for view in views.values():
        assert view.known_to == date(2010, 3, 31)
        assert view.digest == views["as it stands"].digest
        for name in ("countries", "leaders", "events", "indicators"):
            pd.testing.assert_frame_equal(getattr(view, name), getattr(views["as it stands"], name))


def test_the_view_does_not_know_what_came(views):
    view = views["as it stands"]
    assert view.in_office("KGZ")["leader"] == "Kurmanbek Bakiyev"
    assert (view.leaders["end"].isna() == (view.leaders["exit"] == "in_office")).all()
    assert not view.events["event_id"].str.contains("2010-april").any()
    assert (view.indicators["known_on"] <= pd.Timestamp(DAY)).all()


def test_fits_are_kept_under_one_name(views, tiny_spec):
    keys = {fit_key(view, tiny_spec) for view in views.values()}
    assert len(keys) == 1
    assert len({str(describe_run(view, tiny_spec)) for view in views.values()}) == 1


@pytest.mark.integration
def test_forecasts_are_the_same_to_the_last_bit(views, tiny_spec):
    """Two posteriors sampled apart, from the full study and from one that was cut off that day."""
    spec = tiny_spec.changed({"sampling.draws": 60, "sampling.tune": 120})
    made = []
    for name in ("as it stands", "later rows deleted"):
        view = views[name]
        posterior = fit(view, spec)
        made.append((posterior, view, [predict(posterior, view, country, 24) for country in ("KGZ", "GEO", "EST")]))
    (one, view, first), (two, other, second) = made
    for name in one.posterior:
        assert one.posterior[name].to_numpy().tobytes() == two.posterior[name].to_numpy().tobytes(), name
    assert one.diagnostics == two.diagnostics
    assert one.provenance == two.provenance
    for a, b in zip(first, second, strict=True):
        assert a.question == b.question
        assert a.probability.to_numpy().tobytes() == b.probability.to_numpy().tobytes()
        assert a.attempt.to_numpy().tobytes() == b.attempt.to_numpy().tobytes()
        assert np.isfinite(a.probability).all()
    question = ask(view, "KGZ", 24)
    pd.testing.assert_frame_equal(drivers(one, view, question), drivers(two, other, question), check_exact=True)
    rates = [base_rates(seen, made.design, "central_asia") for made, seen in ((one, view), (two, other))]
    pd.testing.assert_frame_equal(*rates, check_exact=True)
    assert rates[0].loc["central asia", "revolutions"] == 1  # 2005; not 2010 and not 2020
