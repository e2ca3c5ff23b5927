"""Claims about studies: what is measured, that it is measured once, and what is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outcomes import outcome

from quantmis.data import Samples
from quantmis.data.admet import read_task
from quantmis.data.molecules import ECFP, FEATURES
from quantmis.errors import UserError
from quantmis.models import Recipe, Task
from quantmis.models.heads import Head
from quantmis.models.losses import CrossEntropy, SquaredError
from quantmis.stats import Estimate
from quantmis.stats.average import average
from quantmis.studies import admet, synthetic
from quantmis.studies import reproduction as command
from quantmis.studies.outcome import Outcome, keep, stored_outcome
from quantmis.studies.predicting import Predicting
from quantmis.studies.problem import Design, Problem, measure
from quantmis.studies.reports import Run, write_report
from quantmis.studies.section import write_section

pytestmark = pytest.mark.slow

SMALL = Design(quantizers=("identity", "sign", "ternary(sparsity=0.9)"), shadows=8, whole=2)
QUICK = Recipe(epochs=5)


def problem(seed: int = 0, name: str = "small") -> Problem:
    samples = synthetic.mixture(2, 320, np.random.default_rng(seed))
    return Problem(
        name=name,
        cluster=name,
        task=Task(synthetic.Mixture(2), recipe=QUICK),
        samples=samples,
        trainable=np.arange(320) < 120,
        metric="accuracy",
        chance=0.5,
        utility_of=lambda utility, level: average(utility, np.eye(len(utility), dtype=bool), level),
        facts={"components": 2},
    )


@pytest.fixture(scope="module")
def measured() -> Outcome:
    return measure(problem(), SMALL, problem().key(SMALL))


def test_an_outcome_holds_every_quantizer_with_every_number(measured: Outcome):
    assert [each.name for each in measured.quantizers] == list(SMALL.quantizers)
    assert (measured.members, measured.trained, measured.held_out) == (60, 120, 200)
    assert all(isinstance(each.indicator, Estimate) for each in measured.quantizers)
    assert measured.quantizers[0].lira.value > 0.6  # 60 points in 128 dimensions are remembered
    assert measured.quantizers[0].utility.value > 0.8
    assert measured.of("ternary(sparsity=0.9)").sparsity == pytest.approx(0.9, abs=0.01)


def test_the_same_seed_gives_the_same_numbers(measured: Outcome):
    again = measure(problem(), SMALL, measured.key)
    assert again.model_copy(update={"seconds": measured.seconds}) == measured
    other = measure(problem(), replace(SMALL, seed=1), measured.key)
    assert other.quantizers[0].lira != measured.quantizers[0].lira


def test_the_key_changes_with_everything_that_the_numbers_depend_on(measured: Outcome):
    keys = {
        problem().key(SMALL),
        problem(seed=1).key(SMALL),
        problem(name="other").key(SMALL),
        problem().key(replace(SMALL, seed=1)),
        problem().key(replace(SMALL, shadows=10)),
        problem().key(replace(SMALL, whole=4)),
        problem().key(replace(SMALL, level=0.9)),
        problem().key(replace(SMALL, quantizers=("identity", "sign"))),
        replace(problem(), task=Task(synthetic.Mixture(2), recipe=Recipe(epochs=6))).key(SMALL),
    }
    assert len(keys) == 9
    assert measured.key in keys


def test_an_outcome_on_disk_is_itself_and_a_stale_or_damaged_one_is_none(
    measured: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "problems" / "small.json"
    assert stored_outcome(path, measured.key) is None
    keep(path, measured)
    assert stored_outcome(path, measured.key) == measured
    assert stored_outcome(path, "another key") is None
    path.write_bytes(path.read_bytes()[:-100])
    assert stored_outcome(path, measured.key) is None
    assert "damaged and measured again" in capsys.readouterr().err


def small_study(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]):
    planned = [problem(name=name) for name in names]
    monkeypatch.setattr(command, "_planned", lambda *_: (replace(SMALL, quantizers=command.NAMES), planned))


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small_study(monkeypatch, ("one", "two"))
    first = command.reproduce("synthetic", tmp_path)
    (tmp_path / "problems" / "two.json").unlink()
    measured = list[str]()

    def watched(which: Problem, *rest: object) -> Outcome:
        measured.append(which.name)
        return measure(which, *rest)

    monkeypatch.setattr(command, "measure", watched)
    second = command.reproduce("synthetic", tmp_path)
    assert measured == ["two"]
    numbers = [[each.quantizers for each in run.outcomes] for run in (first, second)]
    assert numbers[0] == numbers[1]
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.count("<!-- begin reproduce synthetic -->") == 1
    assert "| **" in text
    assert (tmp_path / "figures" / "synthetic.svg").read_text().count("<svg") == 1
    assert len(command.spoken_findings(second)) == 15


@pytest.mark.parametrize("name", ["synthetic", "admet"])
def test_a_section_holds_every_table_and_names_its_command(name: str, tmp_path: Path):
    outcomes = [outcome(f"p{i}", noise=0.001 * i, cluster=f"task {i % 4}") for i in range(8)]
    write_report(Run(name, f"quantmis reproduce {name}", Design(), outcomes), tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert f"`quantmis reproduce {name}`. 8 problems, 64 shadow models each" in text
    for quantizer in Design().quantizers:
        assert f"| `{quantizer}` |" in text
    assert "not measured" in text  # security, in these outcomes
    assert (tmp_path / "figures" / f"{name}.svg").exists()


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path):
    path = tmp_path / "RESULTS.md"
    for body in ("first", "second"):
        write_section("one", body, path)
        write_section("two", "other", path)
    text = path.read_text()
    assert ("first" in text, "second" in text, text.count("other")) == (False, True, 1)
    assert text.startswith("# Results")


def test_a_prediction_is_the_worth_and_everything_else_is_that_of_the_loss(rng: np.random.Generator):
    import torch

    outputs, y = torch.tensor(rng.normal(size=(3, 5, 2))), torch.arange(5) % 2
    loss = Predicting(CrossEntropy())
    assert torch.equal(loss.per_sample_utility(outputs, y), outputs[..., 1] - outputs[..., 0])
    assert torch.equal(loss.losses(outputs, y), CrossEntropy().losses(outputs, y))
    assert torch.equal(loss.signals(outputs, y), CrossEntropy().signals(outputs, y))
    one = torch.tensor(rng.normal(size=(3, 5, 1)))
    assert torch.equal(Predicting(SquaredError()).per_sample_utility(one, y[:, None]), one[..., 0])
    assert loss.classes(np.arange(4) % 2).tolist() == [0, 1, 0, 1]
    with pytest.raises(UserError, match="labels run from 0 to 4"):
        loss.check(np.arange(5), (5, 2))


ALCOHOLS = [f"{'C' * length}O" for length in range(1, 201)]


def admet_folder(folder: Path, task: str, y: np.ndarray) -> Path:
    home = folder / "admet_group" / task
    home.mkdir(parents=True)
    for name, part in (("train_val", slice(0, 140)), ("test", slice(140, 200))):
        rows = zip(ALCOHOLS[part], y[part], strict=True)
        (home / f"{name}.csv").write_text("Drug_ID,Drug,Y\n" + "".join(f"a,{smiles},{each}\n" for smiles, each in rows))
    return folder


def test_a_regression_is_measured_in_its_own_units(tmp_path: Path):
    folder = admet_folder(tmp_path, "caco2_wang", np.tile([50.0, 90.0, 70.0, 90.0], 50))
    task = read_task(folder, "caco2_wang")
    made = admet.problem(task, "ecfp4", ECFP(bits=64), folder)
    made = replace(made, task=Task(lambda: Head(64, 1), Predicting(SquaredError()), QUICK))
    found = measure(made, replace(SMALL, quantizers=("identity",)), "")
    assert (found.kind, found.metric, found.chance) == ("regression", "mae", pytest.approx(15.0))
    assert 5 < found.quantizers[0].utility.value < 40


def test_a_classification_is_measured_by_auroc(tmp_path: Path):
    folder = admet_folder(tmp_path, "hia_hou", np.tile([0, 1, 1, 1], 50))
    made = admet.problem(read_task(folder, "hia_hou"), "maccs", FEATURES.parse("maccs"), folder)
    assert (made.kind, made.metric, made.chance) == ("classification", "auroc", 0.5)
    assert made.trainable.sum() == 140
    assert made.samples.y.dtype.kind == "i"
    found = made.utility_of(np.tile(made.samples.y[140:], (2, 1)).astype(float), 0.95)
    assert found.value == 1.0


def test_embeddings_of_other_molecules_are_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admet, "FAST", (("hia_hou",), ("molclr_gcn", "ecfp4")))
    folder = admet_folder(tmp_path / "data", "hia_hou", np.tile([0, 1], 100))
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"hia_hou\.npz is missing"):
        command.reproduce("admet", out, folder, fast=True)
    (folder / "admet").mkdir()
    for smiles, message in ((ALCOHOLS[:-1], "1 of 200 molecules have no embedding"), (None, "199 rows of embeddings")):
        arrays = {"molclr_gcn": np.zeros((199, 4))} | ({} if smiles is None else {"smiles": np.array(smiles)})
        np.savez(folder / "admet" / "hia_hou.npz", **arrays)
        with pytest.raises(UserError, match=message):
            command.reproduce("admet", out, folder, fast=True)
    assert not out.exists()


def test_embeddings_that_are_nan_are_refused_and_not_scaled_to_zero(tmp_path: Path):
    folder = admet_folder(tmp_path, "hia_hou", np.tile([0, 1], 100))

    class Broken(ECFP):
        def compute(self, molecules: object, folder: Path) -> np.ndarray:
            found = np.ones((200, 4), dtype=np.float32)
            found[7, 2] = np.nan
            return found

    with pytest.raises(UserError, match="hia_hou, broken: the features of 1 of 200 molecules are NaN"):
        admet.problem(read_task(folder, "hia_hou"), "broken", Broken(), folder)


def test_a_file_of_results_that_is_no_text_is_refused_before_anything_is_trained(tmp_path: Path):
    results = tmp_path / "RESULTS.md"
    results.write_bytes(b"\xff\xfe\x00R")
    with pytest.raises(UserError, match=r"cannot read .*RESULTS\.md") as refused:
        command.reproduce("synthetic", tmp_path / "out", results=results)
    assert "--results" in (refused.value.hint or "")
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_json_belongs_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    small_study(monkeypatch, ("one",))
    monkeypatch.setattr(command, "measure", lambda *rest: pytest.fail("a problem was measured"))
    (tmp_path / "results").write_text("mine")
    with pytest.raises(UserError, match="results"):
        command.reproduce("synthetic", tmp_path / "out", results=tmp_path / "RESULTS.md")


def test_the_command_of_a_section_names_what_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small_study(monkeypatch, ("one",))
    results = tmp_path / "my results" / "RESULTS.md"
    run = command.reproduce("synthetic", tmp_path / "out", Path("data"), seed=3, results=results)
    assert run.command == f"quantmis reproduce synthetic --data data --seed 3 --results '{results}'"


def test_fewer_than_three_embedders_give_means_without_intervals(tmp_path: Path):
    outcomes = [outcome(f"p{i}", noise=0.1 * i, cluster="task") for i in range(2)]
    write_report(Run("admet", "quantmis reproduce admet", Design(), outcomes), tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| 0.750 (2 problems, too few for an interval) |" in text
    assert "1.450" not in text


def test_the_synthetic_study_has_every_codebook_quantizer():
    from quantmis.quantizers import QUANTIZERS
    from quantmis.quantizers.codebook import Codebook
    from quantmis.quantizers.minifloat import Minifloat
    from quantmis.quantizers.stochastic_rounding import StochasticRounding

    codebooks = {each for each in Codebook.__subclasses__() if each.__module__.startswith("quantmis.quantizers.")}
    measured = {type(QUANTIZERS.parse(name)) for name in (*command.NAMES, *command.MORE)}
    younger = {Minifloat}  # than the run whose tables stand in RESULTS.md
    assert codebooks - younger | {StochasticRounding} <= measured


def test_what_cannot_be_reproduced_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="unknown study 'admit'") as refused:
        command.reproduce("admit", tmp_path)
    assert "did you mean 'admet'" in (refused.value.hint or "")
    with pytest.raises(UserError, match="needs the data") as refused:
        command.reproduce("admet", tmp_path)
    assert "--data" in (refused.value.hint or "")
    with pytest.raises(UserError, match="is missing") as refused:
        command.reproduce("admet", tmp_path, tmp_path / "none")
    assert "https://tdcommons.ai" in (refused.value.hint or "")


def test_the_synthetic_study_has_every_number_of_components_and_of_members():
    planned = synthetic.problems()
    assert {(each.facts["components"], each.facts["members"]) for each in planned} == {
        (k, n) for k in (2, 5, 10, 20) for n in (250, 1000, 4000)
    }
    assert all((~each.trainable).sum() == 4000 for each in planned)
    assert isinstance(planned[0].samples, Samples)


def test_mixtures_of_another_seed_are_other_mixtures():
    first, other, again = (synthetic.problems(fast=True, seed=seed)[0].samples.digest() for seed in (0, 1, 0))
    assert first == again != other
    with pytest.raises(UserError, match="at least 2 components"):
        synthetic.mixture(1, 100, np.random.default_rng(0))
