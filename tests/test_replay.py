"""The replay command on a small study: the first month sampled, the rest updates, resumed where it stopped."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from forecast.inference import fit_path, save_fit


@pytest.fixture(scope="module")
def replay(repository):
    place = importlib.util.spec_from_file_location("replay", repository / "docs" / "replay.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_months_are_updates_and_are_not_made_twice(replay, tiny_fit, tiny_data, tiny_spec, tmp_path, monkeypatch):
    from forecast.inference import fit

    first = tiny_data.as_of("2024-08-31")
    save_fit(fit(first, tiny_spec), fit_path(tmp_path, first, tiny_spec))
    study, kept = SimpleNamespace(build=tmp_path), tmp_path / "replay" / "tiny.csv"
    months = pd.date_range("2024-08-31", "2024-10-31", freq="ME")
    lines = replay.replay(study, tiny_data, tiny_spec, "KGZ", months[:2], news=True, refits=0, kept=kept)
    assert list(lines.loc[lines["part"] == "probability"].groupby("month")["method"].first()) == [
        "sampled",
        "reweighted",
    ]
    whole = lines[lines["part"] == "probability"].groupby("month")["probability"].sum()
    np.testing.assert_allclose(whole, 1, atol=1e-5)
    more = replay.replay(study, tiny_data, tiny_spec, "KGZ", months, news=True, refits=0, kept=kept)
    pd.testing.assert_frame_equal(more.iloc[: len(lines)].reset_index(drop=True), pd.read_csv(kept).iloc[: len(lines)])
    assert more["month"].nunique() == 3
    assert replay.draw(pd.read_csv(kept), tiny_data, "KGZ").startswith("<svg")
    assert replay.figures_of("tiny", pd.read_csv(kept)).startswith("| tiny | 3 | 2 | 0 |")
