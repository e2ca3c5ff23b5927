"""Molecules of a table and a head on their fingerprints: what four trainings tell. Needs quantmis[molecules]."""

from pathlib import Path

import quantmis as qm
from quantmis.models.heads import Head


def head():
    return Head(features=512, outputs=2, hidden=64)


table = Path(__file__).resolve().parents[1] / "docs" / "examples" / "molecules" / "molecules.csv"
samples = qm.read_samples(table, smiles="smiles", target="absorbed", fingerprint="ecfp(bits=512)")
task = qm.Task(head, recipe=qm.Recipe(epochs=30))
result = qm.audit(task, samples, quantizers=["sign"], depth="indicator", out="molecules-audit")
print(result)
for name, version in result.versions.items():
    advantage = version["predicted_advantage"]
    print(f"{name}: with 64 shadow models an attacker would gain {advantage.value:.2f} over a coin")
print(result.gate({"limits": {"attack_accuracy_at_most": 0.7}}))
