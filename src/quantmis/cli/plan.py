"""`quantmis plan FILE.toml`."""

from quantmis.cli.console import console
from quantmis.cli.options import Engine, File, Shadows


def plan(file: File, shadows: Shadows = None, engine: Engine = None) -> None:
    """Say what auditing FILE.toml will take: models to train, time (measured), memory and disk."""
    from quantmis.audit.config.running import plan_file

    console().print(plan_file(file, {"shadows": shadows, "engine": engine}).table())
