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
EXTRAS = {
    "ai_edge_litert", "bitsandbytes", "brevitas", "cryptography", "cyclonedx", "dp_accounting", "gguf", "hqq",
    "huggingface_hub", "in_toto_attestation", "mlflow", "onnx", "onnxruntime", "onnxscript", "optuna", "pandas",
    "peft", "psutil", "pyarrow", "pytest", "ray", "rdkit", "securesystemslib", "sigstore", "torchao", "transformers",
    "weasyprint", "yaml",
}  # fmt: skip
"""What only extras bring, by the name that is imported; quantmis.testing is for pytest."""


def imported() -> tuple[int, list[str]]:
    """Import every module; return how many there are, and those that need an extra which is not there."""
    count, waiting = 0, []
    for found in pkgutil.walk_packages(quantmis.__path__, "quantmis."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
            count += 1
        except (ImportError, UserError) as error:
            cause = error if isinstance(error, ImportError) else error.__cause__
            if (getattr(cause, "name", None) or "").partition(".")[0] not in EXTRAS:
                raise SystemExit(f"{found.name} cannot be imported: {error}") from error
            waiting.append(found.name)
    return count, waiting


def run(*arguments: str) -> None:
    """Run the command, and say what it said where it fails."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"quantmis {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")


def main() -> None:
    """Try it."""
    home = Path(quantmis.__file__).parent
    if "site-packages" not in str(home):
        raise SystemExit(f"this is not the wheel but {home}")
    count, waiting = imported()
    missing = [name for name in quantmis.__all__ if getattr(quantmis, name, None) is None]
    if missing:
        raise SystemExit(f"quantmis lacks {missing}")
    with tempfile.TemporaryDirectory() as folder:
        run("demo", "--shadows", "6", "--out", folder)  # the fewest that LiRA's references allow
        for name in ("results.json", "report.html"):
            if not (Path(folder) / name).stat().st_size:
                raise SystemExit(f"the demo wrote no {name}")
        run("report", folder)
    print(f"quantmis {quantmis.__version__} from {home}: {count} modules, the demo and its report")
    print(f"not imported without extras: {', '.join(waiting)}")


if __name__ == "__main__":
    main()
