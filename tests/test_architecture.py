"""The shape of the package: imports point one way, heavy libraries are imported late, the public names are these."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import forecast

PACKAGE = Path(forecast.__file__).parent

# A module may import only modules that stand before it.
ORDER = (
    "errors", "schema", "files", "scores", "engine", "tables", "sanctions", "checks", "data", "spec", "study", "design", "agreement", "importers", "concordance",
    "outcomes", "covariates", "panel", "fetching",
    "hazards", "kernel", "whitening", "density", "model", "incidence", "psis", "inference", "likelihood", "update", "prediction", "backtest", "baselines", "explanation", "scenarios", "changes", "claims", "patches", "sensitivity", "multiverse", "shares", "calibration", "ledger", "resolution", "track_record", "drawing", "plots", "charts", "laboratory", "explorer",
    "pages", "report", "exports", "overview", "evaluation", "publishing", "cli", "__main__",
)  # fmt: skip
# These alone know the sampler and the tensor library.
SAMPLERS = {
    "pymc": {"model"},
    "pytensor": {"model"},
    "numba": {"kernel", "whitening"},
    "nutpie": {"inference"},
    "arviz_stats": {"inference", "prediction", "sensitivity"},
}
PUBLIC = [
    "Data", "Fit", "Forecast", "ForecastError", "Spec", "build_design", "build_model", "check_study", "evaluate_claims", "find_study",
    "fit", "load_data", "load_fit", "load_spec", "predict", "record", "write_report",
]  # fmt: skip


def modules() -> dict[str, Path]:
    """Return every module file by its place in the order; a sub-package counts as one."""
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if "study" not in path.relative_to(PACKAGE).parts[:-1]]
    return {str(path.relative_to(PACKAGE)): path for path in files if path != PACKAGE / "__init__.py"}


def imported(path: Path) -> set[str]:
    """Return the dotted names of every module that a file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def own_name(relative: str) -> str:
    return relative.split("/", maxsplit=1)[0].removesuffix(".py")


@pytest.mark.parametrize("relative", modules())
def test_imports_point_downward(relative):
    name = own_name(relative)
    assert name in ORDER, f"{name} has no place in the order of modules"
    uses = {item.split(".")[1] for item in imported(modules()[relative]) if item.startswith("forecast.")}
    above = {other for other in uses & set(ORDER) if ORDER.index(other) > ORDER.index(name)}
    assert not above, f"{relative} imports {', '.join(sorted(above))}, which stand above it"


@pytest.mark.parametrize("library", SAMPLERS)
def test_few_modules_know_the_sampler(library):
    users = {
        own_name(name) for name, path in modules().items() if library in {item.split(".")[0] for item in imported(path)}
    }
    assert users == SAMPLERS[library]


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import forecast.cli", ("pandas", "numpy", "pydantic", "pymc", "matplotlib", "xarray")),
        ("import forecast.checks", ("pandas", "numpy", "pymc", "xarray")),
        ("import forecast.report", ("pymc", "pytensor", "nutpie", "numba")),
    ],
)
def test_heavy_libraries_are_imported_late(statement, unwanted):
    code = f"import sys; {statement}; print(*[name for name in {unwanted!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_the_command_does_not_wait_for_dask():
    code = "import sys, forecast.__main__ as command, forecast.cli as cli; cli.app = list; command.main(); import xarray; xarray.DataArray([1.0]).mean()"
    run = subprocess.run([sys.executable, "-c", f"{code}; print('dask.array' in sys.modules)"], capture_output=True, text=True, check=True)  # fmt: skip
    assert run.stdout.strip() == "False"


def test_public_names():
    assert sorted(set(dir(forecast)) - {"__version__"}) == PUBLIC
    assert all(getattr(forecast, name) is not None for name in PUBLIC)


def test_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'forecasts'"):
        _ = forecast.forecasts


def test_documents_made_from_the_data_are_current():
    build = PACKAGE.parent / "docs" / "build.py"
    run = subprocess.run([sys.executable, build, "--check"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
