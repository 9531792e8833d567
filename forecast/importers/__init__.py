"""The public data sets that a study is compared with or built from: name, usual file names, citation.

Each has a module of its name with one function, ``read(path)``, which returns the publisher's file as a
tidy table in this package's words. No file is shipped: users bring the publishers' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PublicData:
    """A public data set: its module here, words of its usual file names (and words that they do not have), its citation."""

    name: str
    patterns: tuple[str, ...]
    citation: str
    others: tuple[str, ...] = ()

    def find(self, folder: Path) -> Path | None:
        """Return the data set's file in a folder, or None; of several the largest, since a later issue has more rows."""
        tables = (path for path in folder.iterdir() if path.suffix.lower() in {".csv", ".txt", ".tsv", ".tab"})
        files = [path for path in tables if self.is_named(path.name.lower())]
        return max(files, key=lambda path: (path.stat().st_size, path.name), default=None)

    def is_named(self, file: str) -> bool:
        """Return whether a file name in lower case is one that the data set usually has."""
        return any(word in file for word in self.patterns) and not any(word in file for word in self.others)

    def read(self, path: Path) -> pd.DataFrame:
        """Return the file as a tidy table; see the module of the data set's name."""
        table: pd.DataFrame = import_module(f"forecast.importers.{self.name}").read(path)
        return table


REGISTRY = {
    source.name: source
    for source in (
        PublicData("archigos", ("archigos",), "Goemans, Gleditsch & Chiozza 2009, Journal of Peace Research 46(2)"),
        PublicData("powell_thyne", ("powell",), "Powell & Thyne 2011, Journal of Peace Research 48(2)"),
        PublicData("cline", ("cline", "coup_data"), "Peyton et al. 2020, doi 10.13012/B2IDB-9651987"),
        PublicData("navco", ("navco",), "Chenoweth & Shay 2020; Chenoweth & Stephan 2011"),
        PublicData("cow_wars", ("war_inter", "inter-statewar"), "Sarkees & Wayman 2010, Resort to War"),
        PublicData("ucdp", ("ucdp",), "Gleditsch et al. 2002; Davies et al. 2025, Journal of Peace Research"),
        PublicData("gsdb", ("gsdb",), "Felbermayr et al. 2020; Syropoulos et al. 2024"),
        PublicData("vdem", ("vdem", "v-dem"), "Coppedge et al., V-Dem", ("region",)),
        PublicData("gwf", ("gwf",), "Geddes, Wright & Frantz 2014, Perspectives on Politics 12(2)"),
        PublicData("nmc", ("nmc",), "Singer 1987, National Material Capabilities"),
        PublicData("vdem_region", ("region",), "Coppedge et al., V-Dem (e_regionpol_6C)"),
        PublicData("reign", ("reign",), "Bell, Besaw & Frank 2021, REIGN", ("leader", "regime")),
        PublicData("reign_leaders", ("leaderlist", "leader_list"), "Bell, Besaw & Frank 2021, REIGN"),
        PublicData("reign_regimes", ("regime_list", "regimelist"), "Bell, Besaw & Frank 2021, REIGN"),
        PublicData(
            "cow_intra", ("war_intra", "intra-state", "intrastate"), "Sarkees & Wayman 2010; Dixon & Sarkees 2016"
        ),
        PublicData("gw_states", ("gw_states", "iisystem"), "Gleditsch & Ward 1999, International Interactions 25(4)"),
        PublicData("cow_states", ("cow_states", "states2016"), "Correlates of War Project, State System Membership"),
        PublicData("epr", ("epr_", "epr-"), "Vogt et al. 2015, Journal of Conflict Resolution 59(7)"),
        PublicData("gdp_pop", ("gdp_pop",), "Fariss et al. 2022, Journal of Conflict Resolution 66(3)"),
        PublicData("wdi_gdp", ("wdi", "ny.gdp"), "World Bank, World Development Indicators", ("infant", "imrt")),
        PublicData("infant_mortality", ("infant", "imrt"), "World Bank, World Development Indicators"),
    )
}
