"""Studies on disk for the tests of the data and the command line, and the posterior that the model tests share."""

# --- fixtures of the data tests: copies of the real study and of an invented one, free to be damaged ---
import shutil
from pathlib import Path

import pytest

from forecast.study import Study

TINY = Path(__file__).parent / "tiny"


def copy_study(source, target):
    for folder in ("data", "models"):
        shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns(".*"))
    return Study(target, target)


@pytest.fixture(scope="session")
def repository():
    return Path(__file__).parent.parent


@pytest.fixture
def study_copy(repository, tmp_path):
    return copy_study(repository, tmp_path / "study")


@pytest.fixture
def tiny_tables(tmp_path):
    return copy_study(TINY, tmp_path / "tiny")


# --- end of the fixtures of the data tests ---

# --- fixtures of the model tests: the real study, three countries of it, and one small posterior for all of them ---
import os  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import replace  # noqa: E402

os.environ.setdefault("MPLBACKEND", "Agg")

TABLE_NAMES = ("countries", "leaders", "events", "indicators")
SMALL_RUN = {
    "sampling.draws": 200,
    "sampling.tune": 500,
    "sampling.chains": 2,
    "gate.rhat": 2.0,
    "gate.ess": 2.0,
    "gate.divergences": 400,
}


def restrict(data, countries):
    """Return a study with some of its countries only."""
    kept = {name: getattr(data, name)[getattr(data, name)["country"].isin(countries)] for name in TABLE_NAMES}
    return replace(data, **{name: frame.reset_index(drop=True) for name, frame in kept.items()})


@pytest.fixture(scope="session")
def restricted() -> Callable:
    return restrict


@pytest.fixture(scope="session")
def real_data():
    from forecast.data import load_data
    from forecast.study import REPOSITORY

    return load_data(REPOSITORY / "data")


@pytest.fixture(scope="session")
def default_spec():
    from forecast.spec import load_spec
    from forecast.study import REPOSITORY

    return load_spec(REPOSITORY / "models" / "default.toml")


@pytest.fixture(scope="session")
def baseline_spec():
    from forecast.spec import load_spec
    from forecast.study import REPOSITORY

    return load_spec(REPOSITORY / "models" / "baseline.toml")


@pytest.fixture(scope="session")
def tiny_data(real_data):
    return restrict(real_data, ["GEO", "KGZ", "EST"])


@pytest.fixture(scope="session")
def tiny_spec(default_spec):
    return default_spec.changed(SMALL_RUN, name="tiny")


@pytest.fixture(scope="session")
def tiny_fit(tiny_data, tiny_spec, tmp_path_factory):
    """Return one small posterior for all tests; of several workers the first one samples it."""
    from filelock import FileLock

    from forecast.inference import fit_or_load

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with FileLock(shared / "tiny.lock"):
        return fit_or_load(shared, tiny_data, tiny_spec)[0]


@pytest.fixture(scope="session")
def tiny_forecast(tiny_fit, tiny_data):
    from forecast.prediction import predict

    return predict(tiny_fit, tiny_data, "KGZ", 6)


# --- end of the fixtures of the model tests ---
