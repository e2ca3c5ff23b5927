"""The fidelity study of benchmarks runs from its problems to its section, on fewer models than it takes to say much."""

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FEW = {"SHADOWS": 8, "CHEAP": 8}


@pytest.mark.slow
def test_a_problem_is_trained_judged_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fidelity
    import fidelity_tables
    import fidelity_truth
    from problems import PROBLEMS

    for module in (fidelity, fidelity_tables, fidelity_truth):
        for name, count in FEW.items():
            monkeypatch.setattr(module, name, count)
    [problem] = [each for each in PROBLEMS if each.name == "digits, narrow"]
    for family in fidelity_tables.FAMILIES:
        fidelity_tables.fill(tmp_path, problem, seed=0, family=family)
        file = fidelity_tables.path(tmp_path, problem, family)
        with np.load(file, allow_pickle=False) as arrays:
            assert arrays["losses"].shape[:2] == (len(family.quantizers), sum(FEW.values()))
            file.with_suffix(".json").write_text(json.dumps(fidelity_truth.judged(dict(arrays))))
    codebooks, others = (fidelity.judged(tmp_path, problem.half, family) for family in fidelity_tables.FAMILIES)
    section = fidelity.report(*(dict.fromkeys(fidelity.HALVES, each) for each in (codebooks, others)))
    assert f"| {fidelity.LISTED} |" in section
    for judged in (codebooks[0], others[0]):
        assert 0.5 < judged.tau(fidelity.LISTED, "4") <= 1
        right, wrong = judged.stated("4")
        assert right > wrong >= 0
