"""`python -m forecast` is the command `forecast`."""

import atexit
import gc
import sys


def main() -> None:
    """Run the command, without dask until a verb asks for it: xarray would import it only to look for arrays that we do not have."""
    sys.modules.setdefault("dask", None)  # type: ignore[arg-type]
    atexit.register(gc.freeze)  # at the end nothing has to be looked for: the system takes the memory back, and faster

    from forecast.cli import app

    app()


if __name__ == "__main__":
    main()
