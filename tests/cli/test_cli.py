"""Claims about the command: what it prints where, and how it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def quantmis(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "quantmis", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("demo")
    return out, quantmis("demo", "--shadows", "8", "--out", str(out))


@pytest.mark.slow
def test_the_demo_prints_data_to_stdout_and_progress_to_stderr(demo: tuple[Path, subprocess.CompletedProcess[str]]):
    out, done = demo
    assert done.returncode == 0, done.stderr
    assert "ternary(sparsity=0.9)" in done.stdout
    assert f"report: {out}/report.html" in done.stdout
    assert "train and quantize: done" in done.stderr
    assert "train" not in done.stdout.splitlines()[0]
    assert len(json.loads((out / "results.json").read_text())["versions"]) == 10


@pytest.mark.slow
def test_the_report_is_written_again_without_torch(demo: tuple[Path, subprocess.CompletedProcess[str]]):
    out, _ = demo
    before = (out / "report.html").read_text()
    (out / "report.html").unlink()
    code = (
        "import sys; from quantmis.cli import app\n"
        f"app(['report', {str(out)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").read_text() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("report", "/nowhere"), "cannot read /nowhere", "run the audit first"),
        (("demo", "--shadows", "7"), "even number, got 7", "complementary pairs"),
        (("list", "quantisers"), "no list of 'quantisers'", "did you mean 'quantizers'"),
        (("audit", "/nowhere.toml"), "cannot read /nowhere.toml", "name an audit file"),
        (("search", "/nowhere.toml"), "cannot read /nowhere.toml", "name an audit file"),
    ],
)
def test_what_cannot_run_ends_with_two_a_message_and_a_hint(arguments: tuple[str, ...], message: str, hint: str):
    done = quantmis(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "\n\nhint: " in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_option_ends_with_two():
    assert quantmis("demo", "--shadow", "8").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("what", ["quantizers", "attacks", "losses", "recipes"])
def test_everything_there_is_to_choose_from_is_listed(what: str):
    done = quantmis("list", what)
    assert done.returncode == 0, done.stderr
    assert {"quantizers": "ternary", "attacks": "lira", "losses": "mse", "recipes": "learning_rate"}[
        what
    ] in done.stdout


@pytest.mark.slow
def test_an_audit_runs_from_code_that_is_in_no_file(tmp_path: Path):
    program = """
import numpy as np, quantmis as qm
from torch import nn
x = np.random.default_rng(0).normal(size=(60, 4))
task = qm.Task(model=lambda: nn.Linear(4, 2), recipe=qm.Recipe(epochs=1))
result = qm.audit(task, qm.Samples(x, (x[:, 0] > 0).astype(int)), quantizers=["sign"], shadows=8, out="out")
print(result.ranking)
"""
    done = subprocess.run([sys.executable], input=program, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sign" in done.stdout


@pytest.mark.slow
def test_an_interrupted_audit_says_how_to_go_on(tmp_path: Path):
    command = [sys.executable, "-m", "quantmis", "demo", "--out", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # it has begun to train
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "run the same command again" in said
    assert "Traceback" not in said
