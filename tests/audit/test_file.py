"""Claims about audit files: what a good one gives, and what each bad one is told, before anything is trained."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from own_model import GOOD, MODULE
from typer.testing import CliRunner

from quantmis.audit.config.running import audit_file, plan_file
from quantmis.cli import app
from quantmis.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_model_of_tests.py").write_text(MODULE)
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=draw.normal(size=(120, 6)), y=draw.integers(0, 2, 120))
    (tmp_path / "audit.toml").write_text(GOOD)
    return tmp_path


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("own_model_of_tests", None)


@pytest.mark.slow
def test_a_good_file_gives_a_report(folder: Path):
    done = subprocess.run(
        [sys.executable, "-m", "quantmis", "audit", str(folder / "audit.toml"), "--shadows", "10"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(folder / "audit" / "report.html") in done.stdout
    document = json.loads((folder / "audit" / "results.json").read_text())
    assert document["config"]["shadows"] == 10
    assert document["config"]["recipe"]["epochs"] == 2
    command = document["reproduce"]["command"]
    assert command.startswith("quantmis audit audit.toml --shadows 10 --engine ")


@pytest.mark.slow
def test_data_and_recipe_may_be_functions(folder: Path):
    text = GOOD.replace('file = "data.npz"', 'function = "own_model_of_tests:load"')
    text = text.replace("epochs = 2", 'function = "own_model_of_tests:train"')
    (folder / "audit.toml").write_text(text)
    result = audit_file(folder / "audit.toml", folder / "out", {"engine": None})
    assert result.document.config.recipe == {"function": "own_model_of_tests:train"}


@pytest.mark.slow
def test_a_table_and_a_model_of_transformers_are_audited(folder: Path):
    """Token numbers of different lengths, from a function; the model by its configuration alone."""
    (folder / "own_model_of_tests.py").write_text(
        "import numpy as np\n\ndef load():\n    draw = np.random.default_rng(0)\n"
        "    rows = [draw.integers(2, 40, size=draw.integers(1, 9)).tolist() for _ in range(120)]\n"
        "    return rows, np.array([row[0] % 2 for row in rows])\n"
    )
    (folder / "audit.toml").write_text("""
[data]
function = "own_model_of_tests:load"

[model]
transformers = "sequence-classification"

[model.config]
model_type = "llama"
vocab_size = 40
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 16

[training]
epochs = 1

[audit]
quantizers = ["sign"]
shadows = 4
attacks = ["loss_threshold"]
""")
    result = audit_file(folder / "audit.toml", folder / "out", {})
    assert result.document.config.model == "llama, sequence-classification"
    assert result.document.data.features == [8]
    assert list(result.versions) == ["identity", "sign"]


@pytest.mark.slow
def test_a_csv_file_is_audited_and_the_result_says_how_it_was_read(folder: Path):
    draw = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{b:.3f},{('low', 'high')[int(a > b)]},p{k}" for k, (a, b) in enumerate(draw.normal(size=(120, 2)))
    ]
    (folder / "table.csv").write_text("\n".join(["a,b,y,who", *rows]))
    data = '[data]\nfile = "table.csv"\ntarget = "y"\nid = "who"\n'
    text = GOOD.replace('[data]\nfile = "data.npz"\n', data).replace("width = 4", "width = 4, inputs = 2")
    module = MODULE.replace("net(width=8)", "net(width=8, inputs=6)").replace("Linear(6,", "Linear(inputs,")
    (folder / "own_model_of_tests.py").write_text(module)
    (folder / "audit.toml").write_text(text)
    result = audit_file(folder / "audit.toml", folder / "out", {})
    assert result.document.data.notes == ("y from a, b", "y: the classes 0 = high, 1 = low")
    assert "y: the classes 0 = high, 1 = low" in (folder / "out" / "report.html").read_text()


@pytest.mark.slow
def test_the_plan_counts_and_trains_next_to_nothing(folder: Path):
    (folder / "audit.toml").write_text(GOOD.replace("epochs = 2", "epochs = 100000"))
    plan = plan_file(folder / "audit.toml", {})
    assert (plan.models, plan.steps, plan.quantizers) == (8, 200_000, 3)
    assert plan.seconds > 10
    assert plan.memory > 0
    assert plan.attack > 0
    assert plan.group > 0
    shown = CliRunner().invoke(app, ["plan", str(folder / "audit.toml")])
    assert "8, 200,000 steps each" in shown.stdout
    assert "to attack" in " ".join(shown.stdout.split())
    assert "to write the report" in " ".join(shown.stdout.split())
    assert plan.whole == plan.prepare + plan.seconds + plan.attack + plan.report
    assert min(plan.prepare, plan.report) > 0
    assert "for the models that train at once" in " ".join(shown.stdout.split())
    assert sorted(path.name for path in folder.glob("audit*")) == ["audit.toml"]


def test_pickled_data_is_refused_before_it_is_opened(folder: Path):
    class Trap:
        def __reduce__(self):
            return Path(folder / "sprung").touch, ()

    np.savez(folder / "data.npz", x=np.array([Trap()], dtype=object), y=np.zeros(1))
    with pytest.raises(UserError, match=r"data\.file") as refused:
        audit_file(folder / "audit.toml", folder / "out", {})
    assert "pickled objects are refused" in (refused.value.hint or "")
    (folder / "data.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UserError, match=r"data\.file"):
        audit_file(folder / "audit.toml", folder / "out", {})
    assert not (folder / "sprung").exists()


def test_data_without_x_or_y_is_refused(folder: Path):
    np.savez(folder / "data.npz", x=np.zeros((30, 6)), labels=np.zeros(30))
    with pytest.raises(UserError, match=r"holds x, labels, not \['y'\]"):
        audit_file(folder / "audit.toml", folder / "out", {})


def test_a_file_that_is_no_file_is_refused(folder: Path):
    with pytest.raises(UserError, match="cannot read"):
        audit_file(folder / "none.toml", folder / "out", {})
    with pytest.raises(UserError, match="is a folder"):
        audit_file(folder, folder / "out", {})
    (folder / "large.toml").write_text("#" * 2_000_000)
    with pytest.raises(UserError, match="larger than a megabyte"):
        audit_file(folder / "large.toml", folder / "out", {})
    (folder / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no TOML"):
        audit_file(folder / "binary.toml", folder / "out", {})
