"""Try the installed package, where no source lies beside it: import every module, run the command and the demo.

`make wheel` runs this in a fresh environment that holds the wheel and what it needs, and none of the extras.
"""

import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import quantmis
from quantmis.errors import UserError

COMMAND = [sys.executable, "-I", "-m", "quantmis"]
EXTRAS = ("quantmis.quantizers.extras.",)


def imported() -> int:
    """Import every module of the package but the adapters of extras that are not there; return how many."""
    count = 0
    for found in pkgutil.walk_packages(quantmis.__path__, "quantmis."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
        except (ImportError, UserError) as error:
            if not found.name.startswith(EXTRAS):
                raise SystemExit(f"{found.name} cannot be imported: {error}") from error
            continue
        count += 1
    return count


def main() -> None:
    """Try it."""
    home = Path(quantmis.__file__).parent
    if "site-packages" not in str(home):
        raise SystemExit(f"this is not the wheel but {home}")
    count = imported()
    missing = [name for name in quantmis.__all__ if getattr(quantmis, name, None) is None]
    if missing:
        raise SystemExit(f"quantmis lacks {missing}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*COMMAND, "demo", "--shadows", "4", "--out", folder], check=True, capture_output=True)
        for name in ("results.json", "report.html"):
            if not (Path(folder) / name).stat().st_size:
                raise SystemExit(f"the demo wrote no {name}")
        subprocess.run([*COMMAND, "report", folder], check=True, capture_output=True)
    print(f"quantmis {quantmis.__version__} from {home}: {count} modules, the demo and its report")


if __name__ == "__main__":
    main()
