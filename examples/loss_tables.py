"""A random forest of scikit-learn and a version that was rounded, by their losses alone."""

import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

import quantmis as qm

x, y = load_wine(return_X_y=True)
member = np.random.default_rng(0).random(len(y)) < 0.5
forest = RandomForestClassifier(50, random_state=0).fit(x[member], y[member])


def losses(probabilities):
    right = np.clip(probabilities[np.arange(len(y)), y], 1e-3, 1 - 1e-3)  # what the label was given
    return qm.Evidence(-np.log(right)[None], member[None], signal=np.log(right / (1 - right))[None], label=y)


probabilities = forest.predict_proba(x)
versions = {"identity": losses(probabilities), "two levels": losses(probabilities.round())}
result = qm.audit_tables(versions, features=x, name="a random forest", out="forest")
print(result)
print(result.gate({"limits": {"attack_accuracy_at_most": 0.6}}))
