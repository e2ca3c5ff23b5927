"""Claims about the command: a model that remembers is blocked, one that does not passes, and mistakes end with two."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from judged import audited
from safetensors.torch import load_file, save_file
from torch import nn

import quantmis as qm
from quantmis import gate, results
from quantmis.gate.policy import parse
from quantmis.results.seal import sealed

POLICY = """
version = "uniform(bits=4)"
about = ["this training algorithm"]
[limits]
attack_accuracy_at_most = 0.65
utility_at_least = 0.6
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


@pytest.mark.slow
def test_a_model_that_learned_its_samples_by_heart_is_blocked(tmp_path: Path, policy: Path):
    folder = audit(tmp_path, qm.Recipe(epochs=60, learning_rate=1e-2, batch_size=32))
    done = quantmis("gate", folder, "--policy", policy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith(
        "EXCEEDED  limits.attack_accuracy_at_most  (uniform(bits=4), this training algorithm)"
    )
    assert "limits exceeded" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_a_well_regularised_model_passes(tmp_path: Path, policy: Path):
    folder = audit(tmp_path, qm.Recipe(epochs=5, learning_rate=3e-3, weight_decay=1e-2, optimizer="adamw"))
    done = quantmis("gate", folder, "--policy", policy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EXCEEDED" not in done.stdout
    assert "judged at" in done.stdout


def shipped_model(folder: Path, epochs: int, decay: float) -> Path:
    """Train an MLP on half of 2,000 overlapping samples, and write the audit file of it as it is."""
    data, model = noisy(2000), classifier()
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=decay)
    for _ in range(epochs):
        for batch in torch.arange(1000).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    save_file(model.state_dict(), folder / "model.safetensors")
    half = {name: tensor.half().float() for name, tensor in model.state_dict().items()}
    save_file(half, folder / "half.safetensors")
    versions = dict.fromkeys(("half precision", "half again"), folder / "half.safetensors")
    given = qm.Target(folder / "model.safetensors", np.arange(1000), np.arange(1000, 2000), versions=versions)
    task = qm.Task(classifier)
    qm.audit(task, data, target=given, quantizers=["uniform(bits=4)"], out=folder / "audit", progress=False)
    return folder / "audit"


def judged_by_the_example(folder: Path) -> gate.Judgement:
    before, _, rest = gate.EXAMPLE.partition("[[limits.tpr]]")
    text = before + "[ranking]" + rest.partition("[ranking]")[2]
    assert "at_fpr" not in text
    return gate.judge(results.read(folder), parse(text.encode()), datetime.now(UTC))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train, write and audit a model that is not over-fitted; the folder of its files, with the audit in it."""
    return shipped_model(tmp_path_factory.mktemp("sound"), 4, 0.1).parent


@pytest.mark.slow
def test_the_gap_of_the_example_policy_blocks_an_over_fitted_model_as_it_is(tmp_path: Path, sound: Path):
    """All but the rate at 1 % false positives, for which 1,000 non-members are few."""
    for folder, within in ((shipped_model(tmp_path, 60, 0.0), False), (sound / "audit", True)):
        judgement = judged_by_the_example(folder)
        [gap] = [each for each in judgement.verdicts if each.limit == "limits.generalization_gap_at_most"]
        assert gap.within == within
        assert judgement.within == within, [each.sentence for each in judgement.exceeded]


@pytest.mark.slow
def test_the_file_that_ships_is_the_one_that_was_audited(tmp_path: Path, sound: Path):
    folder = shutil.copytree(sound, tmp_path, dirs_exist_ok=True) / "audit"
    policy, path = tmp_path / "policy.toml", tmp_path / "model.safetensors"
    policy.write_text("[limits]\nepsilon_lower_bound_at_most = 100.0\n")
    assert "the same bytes" in quantmis("gate", folder, "--policy", policy, "--weights", path).stdout
    tensors = load_file(path)
    save_file(tensors, path, {"saved": "again"})
    done = quantmis("gate", folder, "--policy", policy, "--weights", path)
    assert done.returncode == 0, done.stdout
    assert "the same tensors" in done.stdout
    tensors["0.bias"][0] += 1e-3
    save_file(tensors, path)
    done = quantmis("gate", folder, "--policy", policy, "--weights", path)
    assert done.returncode == 1
    assert done.stdout.startswith("EXCEEDED  --weights  (this audit)")
    assert quantmis("gate", folder, "--policy", policy, "--weights", tmp_path / "none").returncode == 2


@pytest.mark.slow
def test_the_file_that_ships_may_be_that_of_a_version_that_is_judged(tmp_path: Path, sound: Path):
    folder = shutil.copytree(sound, tmp_path, dirs_exist_ok=True) / "audit"
    policy, path = tmp_path / "policy.toml", tmp_path / "half.safetensors"
    limits = "[limits]\nepsilon_lower_bound_at_most = 100.0\n"
    for named, code in (("", 0), ('version = "half again"\n', 0), ('version = "uniform(bits=4)"\n', 1)):
        policy.write_text(named + limits)
        done = quantmis("gate", folder, "--policy", policy, "--weights", path)
        assert done.returncode == code, done.stdout
        assert "the same bytes as half precision and half again" in done.stdout
    assert "the policy judges versions that have other files" in done.stdout
    whole = tmp_path / "model.safetensors"
    for version, code in (("identity", 0), ("uniform(bits=4)", 0), ("half again", 1)):
        policy.write_text(f'version = "{version}"\n{limits}')
        assert quantmis("gate", folder, "--policy", policy, "--weights", whole).returncode == code, version
    policy.write_text(limits)
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    assert "other weights were audited" in quantmis("gate", folder, "--policy", policy, "--weights", path).stdout
    path.write_bytes(path.read_bytes() + b" ")
    damaged = quantmis("gate", folder, "--policy", policy, "--weights", path)
    assert damaged.returncode == 2
    assert "is damaged" in damaged.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results.write(sealed(audited()), tmp_path / "results.json")
    return tmp_path


@pytest.mark.slow
def test_every_format_is_written_to_stdout_with_the_same_exit_code(folder: Path, policy: Path):
    for form in gate.FORMATS:
        done = quantmis("gate", folder / "results.json", "--policy", policy, "--format", form)
        assert done.returncode == 1, done.stderr
        assert "attack_accuracy_at_most" in done.stdout
    assert json.loads(quantmis("gate", folder, "--policy", policy, "--format", "json").stdout)["within"] is False


LIMIT = 'version = "sign"\n[limits]\nattack_accuracy_at_most = {limit}\n'


def limited(folder: Path, limit: float) -> subprocess.CompletedProcess[str]:
    """Hold the audit against a limit on how often an attacker is right about `sign`, 0.571 and at most 0.581."""
    path = folder / "limited.toml"
    path.write_text(LIMIT.format(limit=limit))
    return quantmis("gate", folder, "--policy", path)


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "results.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def lower(content: dict[str, Any]) -> None:
    [sign] = [each for each in content["versions"] if each["name"] == "sign"]
    sign["measures"]["attack_accuracy"].update(value=0.51, low=0.5, high=0.52)


def unseal(content: dict[str, Any]) -> None:
    del content["environment"]["seal"]


@pytest.mark.slow
def test_an_audit_that_nobody_touched_is_judged(folder: Path):
    assert limited(folder, 0.6).returncode == 0
    assert limited(folder, 0.55).returncode == 1
    edit(folder, lambda content: None)  # other spaces, the same document
    assert limited(folder, 0.55).returncode == 1


@pytest.mark.parametrize(
    ("change", "message"), [(lower, "results.json was edited"), (unseal, "results.json has no seal")]
)
@pytest.mark.parametrize("limit", [0.6, 0.55])
def test_an_edited_audit_is_neither_within_limits_nor_beyond_them(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str, limit: float
):
    edit(folder, change)
    done = limited(folder, limit)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert f"quantmis verify {folder} says what was changed" in done.stderr
    assert "run the audit again" in done.stderr


def test_an_edit_that_also_removes_the_seal_is_noticed(folder: Path):
    edit(folder, lower)
    edit(folder, unseal)
    assert limited(folder, 0.55).returncode == 2


def test_the_gate_opens_without_torch(folder: Path, policy: Path):
    code = (
        "import sys; from quantmis.cli import app\n"
        f"app(['gate', {str(folder)!r}, '--policy', {str(policy)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_example_and_the_schema_are_printed():
    assert quantmis("gate", "--example").stdout == gate.EXAMPLE
    assert json.loads(quantmis("gate", "--schema").stdout) == gate.json_schema()


@pytest.mark.slow
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
    unknown.write_text('version = "sing"\n[limits]\nepsilon_lower_bound_at_most = 1.0\n')
    done = quantmis("gate", *(each.format(folder=folder, policy=policy, unknown=unknown) for each in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert hint in done.stderr
