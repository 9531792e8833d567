"""`python -m forecast` is the command `forecast`."""

from forecast.cli import app

app()
