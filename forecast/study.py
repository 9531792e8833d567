"""Where a study's files are: any folder with `data/` and `models/`, or the one that the package carries."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from forecast.errors import UsageError

PACKAGED = Path(__file__).parent / "study"
REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Study:
    """The folders of a study.

    Attributes
    ----------
    source : Path
        Folder that holds `data/` and `models/`.
    output : Path
        Folder that receives `reports/` and `build/`.
    """

    source: Path
    output: Path

    @property
    def data(self) -> Path:
        """Folder of the tables, the codebook and the bibliography."""
        return self.source / "data"

    @property
    def models(self) -> Path:
        """Folder of the model specs."""
        return self.source / "models"

    @property
    def reports(self) -> Path:
        """Folder of the issued reports and the forecast ledger."""
        return self.output / "reports"

    @property
    def build(self) -> Path:
        """Folder of saved fits; safe to delete."""
        return self.output / "build"


def is_study(folder: Path) -> bool:
    """Return whether a folder has the two folders of a study."""
    return (folder / "data" / "codebook.toml").is_file() and (folder / "models").is_dir()


def find_study(folder: Path | str | None = None) -> Study:
    """Return a named study, or else the one in the working folder, or else the default study.

    The default study is read from the repository or from the installed package; what a command
    writes for it goes to the working folder when the package is installed.

    Raises
    ------
    UsageError
        When a folder is named that is no study.
    """
    if folder is not None:
        if not is_study(Path(folder)):
            raise UsageError(
                f"{folder} is not a study: it needs data/codebook.toml and models/; forecast init makes one"
            )
        return Study(Path(folder), Path(folder))
    here = Path.cwd()
    if is_study(here):
        return Study(here, here)
    if is_study(REPOSITORY):
        return Study(REPOSITORY, REPOSITORY)
    return Study(PACKAGED, here)


def new_study(folder: Path) -> Study:
    """Make a study: the default study's codebook, specs and sources, with empty tables.

    Raises
    ------
    UsageError
        When the folder exists and is not empty; nothing is overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name a new one")
    pattern = PACKAGED if is_study(PACKAGED) else REPOSITORY
    (folder / "data").mkdir(parents=True)
    shutil.copytree(pattern / "models", folder / "models")
    for file in sorted((pattern / "data").iterdir()):
        target = folder / "data" / file.name
        if file.suffix == ".csv":
            header = file.read_text(encoding="utf-8").split("\n", 1)[0]
            target.write_text(header + "\n", encoding="utf-8")
        elif file.is_file() and not file.name.startswith("."):
            shutil.copyfile(file, target)
    return Study(folder, folder)
