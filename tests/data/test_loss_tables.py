"""Claims about loss tables of other frameworks: what names samples is never guessed, and never a number."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantmis.data.loss_tables import arrays_of
from quantmis.errors import UserError
from quantmis.evidence import Evidence

LOSSES = np.array([[0.1, 2.0, 0.3], [1.5, 0.2, 0.4]])
MEMBER = np.array([[True, False, True], [False, True, False]])


def long() -> dict[str, list[Any]]:
    places = [(model, sample) for model in range(2) for sample in range(3)]
    return {
        "model": [f"m{model}" for model, _ in places],
        "sample": [f"p{sample}" for _, sample in places],
        "loss": [float(LOSSES[place]) for place in places],
        "member": [bool(MEMBER[place]) for place in places],
    }


def test_a_data_frame_is_read_as_a_dict_is():
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    for frame in (long(), pandas.DataFrame(long()), arrow.table(long())):
        found = Evidence.from_table(frame)
        np.testing.assert_array_equal(found.losses, LOSSES)
        np.testing.assert_array_equal(found.member, MEMBER)
    typed = pandas.DataFrame(long()).convert_dtypes().astype({"model": "category"})
    np.testing.assert_array_equal(Evidence.from_table(typed.astype({"member": bool, "loss": float})).losses, LOSSES)


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    pandas = pytest.importorskip("pandas")
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    frame = pandas.DataFrame([[0.1, 0.2, True]], columns=["loss", "loss", "member"])
    (tmp_path / "t.csv").write_text("loss,loss,member\n0.1,0.2,true\n")
    columns = [arrow.array([0.1]), arrow.array([0.2]), arrow.array([True])]
    parquet.write_table(arrow.Table.from_arrays(columns, names=["loss", "loss", "member"]), tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.csv", tmp_path / "t.parquet"):
        with pytest.raises(UserError, match="two columns called 'loss'"):
            Evidence.from_table(source)


IDS = np.array([f"00{row}" for row in range(4)])
ORDER = [2, 0, 3, 1]


def csv_of(path: Path, name: str, mark: bytes = b"") -> Path:
    lines = [f"{name},loss", *(f"{IDS[row]},{row}.5" for row in ORDER)]
    path.write_bytes(mark + "\n".join(lines).encode())
    return path


def test_a_mark_of_byte_order_and_zeros_hide_no_id(tmp_path: Path):
    for mark in (b"", b"\xef\xbb\xbf"):
        found = arrays_of(csv_of(tmp_path / "t.csv", "sample", mark), ("losses",), IDS, 4)
        assert found["losses"].tolist() == [[0.5, 1.5, 2.5, 3.5]]
    with pytest.raises(UserError, match="names 4 samples that are not in the data"):
        arrays_of(tmp_path / "t.csv", ("losses",), np.array(["0", "1", "2", "3"]), 4)


@pytest.mark.parametrize("name", ["id", "ID", "person", "Sample", "sampel", "case_number"])
def test_an_id_column_of_another_name_is_not_ignored(tmp_path: Path, name: str):
    path = csv_of(tmp_path / "t.csv", name)
    with pytest.raises(UserError, match=f"'{name}'") as refused:
        arrays_of(path, ("losses",), IDS, 4)
    assert "sample" in (refused.value.hint or "")


def test_an_array_of_ids_orders_the_losses_and_one_of_another_name_is_refused(tmp_path: Path):
    losses = np.array([[row + 0.5 for row in ORDER]])
    np.savez(tmp_path / "t.npz", losses=losses, sample=IDS[ORDER])
    assert arrays_of(tmp_path / "t.npz", ("losses",), IDS, 4)["losses"].tolist() == [[0.5, 1.5, 2.5, 3.5]]
    np.savez(tmp_path / "t.npz", losses=losses, who=IDS[ORDER])
    with pytest.raises(UserError, match="no column sample, but 'who'"):
        arrays_of(tmp_path / "t.npz", ("losses",), IDS, 4)
    np.savez(tmp_path / "t.npz", losses=losses[:, :3], sample=IDS[ORDER])
    with pytest.raises(UserError, match="losses: expected an entry for each of 4 in sample, got 3"):
        arrays_of(tmp_path / "t.npz", ("losses",), IDS, 4)


def test_the_tables_of_an_audit_are_read_again(tmp_path: Path):
    np.savez(tmp_path / "t.npz", losses=LOSSES, member=MEMBER, is_audited=np.ones(3, dtype=bool), weight=np.ones(3))
    assert arrays_of(tmp_path / "t.npz", ("losses",), None, 3)["losses"].tolist() == LOSSES.tolist()


def test_rows_are_named_by_numbers_where_there_are_no_ids(tmp_path: Path):
    (tmp_path / "t.csv").write_text("sample,loss\n1.0,1.5\n0.0,0.5\n")
    assert arrays_of(tmp_path / "t.csv", ("losses",), None, 2)["losses"].tolist() == [[0.5, 1.5]]


def test_models_and_samples_stand_in_their_natural_order(tmp_path: Path):
    names = [f"{model},{sample},{10 * model + sample}.0,true" for model in (10, 9) for sample in (10, 2)]
    (tmp_path / "t.csv").write_text("\n".join(["model,sample,loss,member", *names]))
    assert Evidence.from_table(tmp_path / "t.csv").losses.tolist() == [[92, 100], [102, 110]]


def test_a_loss_is_a_number_and_1_2_is_none(tmp_path: Path):
    (tmp_path / "t.csv").write_text("loss,member\n1_2,true\n3,false\n")
    with pytest.raises(UserError, match="losses: expected numbers"):
        Evidence.from_table(tmp_path / "t.csv")


def test_classes_are_whole_numbers_or_words_and_the_models_agree(tmp_path: Path):
    table = long() | {"label": ["cat", "dog", "cat"] * 2}
    assert Evidence.from_table(table).label.tolist() == [0, 1, 0]  # pyright: ignore[reportOptionalMemberAccess]
    assert Evidence.from_table(long() | {"label": [1.0, 2.0, 1.0] * 2}).label.tolist() == [1, 2, 1]  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(UserError, match="do not agree on the class"):
        Evidence.from_table(long() | {"label": [0, 1, 0, 1, 1, 0]})
    with pytest.raises(UserError, match="expected classes"):
        Evidence.from_table(long() | {"label": [0.5, 1, 0] * 2})


def test_a_loss_table_is_made_without_any_reader():
    code = "import sys, quantmis.evidence; print([name for name in sys.modules if name.startswith('quantmis.data')])"
    package = (
        "import types; m = types.ModuleType('quantmis'); m.__path__ = [PATH]; import sys; sys.modules['quantmis'] = m"
    )
    import quantmis

    home = str(Path(quantmis.__file__).parent)
    run = [sys.executable, "-c", package.replace("PATH", repr(home)) + "\n" + code]
    assert subprocess.run(run, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout.strip() == "[]"


def test_an_index_of_pandas_that_has_a_name_is_a_column():
    pandas = pytest.importorskip("pandas")
    order = np.random.default_rng(0).permutation(30)
    frame = pandas.DataFrame({"loss": order / 10.0, "member": order < 15}, index=pandas.Index(order, name="sample"))
    np.testing.assert_array_equal(Evidence.from_table(frame).losses[0], np.arange(30) / 10)
    np.testing.assert_array_equal(Evidence.from_table(frame).member[0], np.arange(30) < 15)
