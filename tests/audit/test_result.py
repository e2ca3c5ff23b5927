"""Claims about what a notebook shows of an audit."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from documents import document
from matplotlib.axes import Axes

import quantmis as qm
from quantmis import results
from quantmis.errors import UserError
from quantmis.gate import Policy, judge, read

mpl.use("agg")
from matplotlib import pyplot

NOW = datetime.now(UTC)


def test_a_frame_has_a_row_for_each_version_and_an_interval_beside_each_number():
    frame = qm.AuditResult(document()).frame()
    assert frame["version"].tolist() == [row.name for row in document().ranking.rows]
    assert (frame["utility_low"] <= frame["utility"]).all()
    assert (frame["utility"] <= frame["utility_high"]).all()


def test_a_frame_without_pandas_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(qm.UserError, match="a data frame needs pandas"):
        qm.AuditResult(document()).frame()


def test_a_notebook_shows_the_ranking_and_escapes_names():
    shown = qm.AuditResult(document())._repr_html_()
    assert "ternary(sparsity=0.9)" in shown
    hostile = document().model_dump_json().replace('"sign"', '"<script>alert(1)</script>"')
    assert "<script>" not in qm.AuditResult(results.parse(hostile.encode()))._repr_html_()


def test_a_result_is_shown_in_a_few_lines():
    shown = repr(qm.AuditResult(document()))
    assert shown.splitlines()[0] == "<AuditResult: shadow audit of DigitsMLP, 10 versions>"
    assert "gives away least" in shown or "give away least" in shown
    assert len(shown) < 1000


def test_the_library_names_what_it_offers():
    assert set(dir(qm)) == {*qm.__all__, "__version__"}


def policy_in(folder: Path, right: float) -> Path:
    path = folder / "policy.toml"
    path.write_text(f'version = "sign"\n[limits]\nattack_accuracy_at_most = {right}\n')
    return path


def test_a_gate_in_python_judges_as_the_command_does(tmp_path: Path):
    result = qm.AuditResult(document())
    judgement = result.gate(policy_in(tmp_path, 0.9))
    assert judgement == judge(result.document, read(tmp_path / "policy.toml"), NOW, "this audit", judgement.policy)
    assert judgement.within
    refused = result.gate(policy_in(tmp_path, 0.51))
    assert [each.limit for each in refused.exceeded] == ["limits.attack_accuracy_at_most"]
    limits = {"limits": {"attack_accuracy_at_most": 0.51}}
    assert not result.gate(Policy.model_validate(limits)).within
    assert result.gate(limits).verdicts == result.gate(Policy.model_validate(limits)).verdicts
    assert str(result.gate(limits)).count("asked: at most 0.51; found:") == len(result.gate(limits).exceeded)
    with pytest.raises(UserError, match=r"unknown key limits\.attack_acuracy_at_most"):
        result.gate({"limits": {"attack_acuracy_at_most": 0.6}})


def ends(axes: Axes) -> list[tuple[float, float]]:
    """Return the ends of every horizontal bar."""
    bars = [bar for container in axes.containers for bar in container.lines[2][:1]]
    return [(float(low[0]), float(high[0])) for bar in bars for low, high in bar.get_segments()]


def test_figures_show_every_version_with_its_interval():
    result = qm.AuditResult(document())
    rights = [result.versions[row.name]["attack_accuracy"] for row in result.ranking.rows]
    for axes in (result.plot.ranking(), result.plot.front()):
        assert np.array(ends(axes)) == pytest.approx(np.array([(each.low, each.high) for each in rights]))
        pyplot.close(axes.figure)
    axes = result.plot.ranking()
    assert [each.get_text() for each in axes.get_yticklabels()][-1] == "full precision"
    pyplot.close(axes.figure)


def test_roc_curves_are_those_of_the_attack_and_the_versions_that_are_asked_for():
    result, (figure, axes) = qm.AuditResult(document()), pyplot.subplots()
    assert result.plot.roc(axes, attack="loss_threshold", versions=["sign"]) is axes
    curve = result.versions["sign"].attacks["loss_threshold"].adaptive.roc
    assert axes.lines[0].get_xdata() == pytest.approx(curve.fpr)
    assert axes.lines[0].get_ydata() == pytest.approx(curve.tpr)
    for wrong in ({"attack": "lirra"}, {"versions": ["sing"]}):
        with pytest.raises(qm.UserError, match="there is no") as refused:
            result.plot.roc(axes, **wrong)
        assert "did you mean" in str(refused.value.hint)
    pyplot.close(figure)
