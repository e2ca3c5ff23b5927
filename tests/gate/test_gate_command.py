"""Claims about the command: a model that remembers is blocked, one that does not passes, and mistakes end with two."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from judged import audited
from torch import nn

import quantmis as qm
from quantmis import gate, results

POLICY = """
version = "uniform(bits=4)"
about = ["this procedure"]
[exposure]
attacker_right_at_most = 0.65
[utility]
at_least = 0.6
[evidence]
depth = "shadow"
shadows_at_least = 16
age_in_days_at_most = 1
"""


def quantmis(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quantmis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))


def noisy(samples: int = 400) -> qm.Samples:
    """Return two overlapping classes, of which a model can learn the rule, or every sample by heart."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(samples, 20))
    return qm.Samples(x, (x[:, 0] + 0.5 * draw.normal(size=samples) > 0).astype(int))


def audit(out: Path, recipe: qm.Recipe) -> Path:
    task = qm.Task(classifier, recipe=recipe)
    qm.audit(task, noisy(), quantizers=["uniform(bits=4)"], shadows=16, out=out, progress=False)
    return out


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text(POLICY)
    return path


def test_a_model_that_learned_its_samples_by_heart_is_blocked(tmp_path: Path, policy: Path):
    folder = audit(tmp_path, qm.Recipe(epochs=60, learning_rate=1e-2, batch_size=32))
    done = quantmis("gate", folder, "--policy", policy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("EXCEEDED  exposure.attacker_right_at_most  (uniform(bits=4), this procedure)")
    assert "limits exceeded" in done.stdout
    assert done.stderr == ""


def test_a_well_regularised_model_passes(tmp_path: Path, policy: Path):
    folder = audit(tmp_path, qm.Recipe(epochs=5, learning_rate=3e-3, weight_decay=1e-2, optimizer="adamw"))
    done = quantmis("gate", folder, "--policy", policy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EXCEEDED" not in done.stdout
    assert "judged at" in done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results.write(audited(), tmp_path / "results.json")
    return tmp_path


def test_every_format_is_written_to_stdout_with_the_same_exit_code(folder: Path, policy: Path):
    for form in gate.FORMATS:
        done = quantmis("gate", folder / "results.json", "--policy", policy, "--format", form)
        assert done.returncode == 1, done.stderr
        assert "attacker_right_at_most" in done.stdout
    assert json.loads(quantmis("gate", folder, "--policy", policy, "--format", "json").stdout)["within"] is False


def test_the_gate_opens_without_torch(folder: Path, policy: Path):
    code = (
        "import sys; from quantmis.cli import app\n"
        f"app(['gate', {str(folder)!r}, '--policy', {str(policy)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_example_and_the_schema_are_printed():
    assert quantmis("gate", "--example").stdout == gate.EXAMPLE
    assert json.loads(quantmis("gate", "--schema").stdout) == gate.json_schema()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "the folder of an audit and a policy", "--example"),
        (("{folder}",), "the folder of an audit and a policy", "--policy policy.toml"),
        (("/nowhere", "--policy", "{policy}"), "cannot read /nowhere", "run the audit first"),
        (("{folder}", "--policy", "/nowhere"), "cannot read the policy /nowhere", "--example"),
        (("{folder}", "--policy", "{policy}", "--format", "junti"), "unknown format 'junti'", "did you mean 'junit'"),
        (("{folder}", "--policy", "{unknown}"), "holds no version 'sing'", "did you mean 'sign'"),
    ],
)
def test_what_cannot_be_judged_ends_with_two(
    folder: Path, policy: Path, arguments: tuple[str, ...], message: str, hint: str
):
    unknown = folder / "unknown.toml"
    unknown.write_text('version = "sing"\n[exposure]\nepsilon_at_most = 1.0\n')
    done = quantmis("gate", *(each.format(folder=folder, policy=policy, unknown=unknown) for each in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert hint in done.stderr
