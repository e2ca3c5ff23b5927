"""The gate: what was measured about a model, held against the limits of a policy before it is released.

A limit is never held against the number in the middle of an interval but against its *cautious end*, the one that
speaks against a release. So too little evidence (a wide interval, or a quantity that was not measured at all) exceeds
a limit just as a leaking model does, with its reason. `judge` is a pure function of results and a policy; the formats
write its verdicts for people, for programs, for GitHub Actions and as JUnit test cases.
"""

from quantmis.gate.formats import FORMATS
from quantmis.gate.judge import judge
from quantmis.gate.policy import EXAMPLE, Policy, json_schema, of_tables, read
from quantmis.gate.verdict import Judgement, Verdict

__all__ = ["EXAMPLE", "FORMATS", "Judgement", "Policy", "Verdict", "json_schema", "judge", "of_tables", "read"]
