"""Claims about the action of GitHub: it names commands, options and inputs that there are, and its shell runs."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from documents import document

from quantmis import results as schema
from quantmis.cli.app import app
from quantmis.results.seal import sealed

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}


def options_of(command: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    return {name for each in group.get_command(None, command).params for name in each.opts}


def test_every_input_that_is_used_is_declared_and_the_other_way_round():
    used = set(re.findall(r"inputs\.(\w+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    assert used == set(ACTION["inputs"])
    assert all(each["description"] and "default" in each for each in ACTION["inputs"].values())


def test_every_step_is_of_a_composite_action_and_takes_inputs_from_the_environment_alone():
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS.values():
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]  # what a pull request names must not become a command
        assert set(re.findall(r"\$([A-Z]\w+)", step["run"])) <= {*step["env"], "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}


def test_every_command_and_option_exists():
    for step in STEPS.values():
        for line in re.findall(r"quantmis (\w+)(.*)", step["run"]):
            options = set(re.findall(r"(?<!\S)(--[a-z-]+)", line[1].split("|")[0]))
            assert options <= options_of(line[0]), line
    assert {"--policy", "--weights"} <= options_of("gate")


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "code", "within"), [("0.99", 0, "true"), ("0.51", 1, "false")])
def test_the_gate_of_the_action_answers_by_its_exit_code(tmp_path: Path, limit: str, code: int, within: str):
    (tmp_path / "audit").mkdir()
    schema.write(sealed(document()), tmp_path / "audit" / "results.json")
    (tmp_path / "policy.toml").write_text(f"[limits]\nattack_accuracy_at_most = {limit}\n")
    quantmis = tmp_path / "quantmis"
    quantmis.write_text(f'#!/bin/sh\nexec {sys.executable} -m quantmis "$@"\n')
    quantmis.chmod(0o755)
    inputs = {"AUDIT": "audit", "POLICY": "policy.toml", "SARIF": "gate.sarif"}
    environment = {
        **os.environ,
        **dict.fromkeys(STEPS["Gate"]["env"], ""),
        **inputs,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    shell = ["bash", "-e", "-o", "pipefail", "-c", STEPS["Gate"]["run"]]  # as the runner starts it
    process = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == code, process.stderr
    assert (tmp_path / "output").read_text() == f"within={within}\n"
    assert "::" in process.stdout
    assert '"version": "2.1.0"' in (tmp_path / "gate.sarif").read_text()
