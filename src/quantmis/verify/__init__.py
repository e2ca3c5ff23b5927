"""Whether an audit is what was written: its document, its tables, and every number computed from the tables again.

Three things are checked, in this order. The document carries a seal, so that an edit by hand shows, of the
configuration too. It carries a digest of each table. And from the tables everything is computed again by the audit's
own functions and compared. What the tables do not determine is named as not checked, with the reason. None of this is
a signature: it finds what was changed, not who might have made a whole audit up.
"""

from quantmis.verify.check import Checked, verify

__all__ = ["Checked", "verify"]
