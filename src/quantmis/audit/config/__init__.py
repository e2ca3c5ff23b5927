"""The audit file: a whole audit in one readable TOML file. Paths are relative to the file.

[data]
file = "people.csv"               # or .parquet, .npz; or: images = "folder"; or: function = "my_module:load"
target = "income"

[model]
function = "my_module:MyModel"    # a torch.nn.Module class, or a function; or: transformers = "sequence-classification"
loss = "cross_entropy"

[training]                        # the fields of quantmis.Recipe, or: function = "my_module:train"
epochs = 40

[target]                          # the very model that is to ship, where there is one
weights = "model.safetensors"
column = "split"
members = "train"                 # or files of row numbers: members = "members.txt"
non_members = "test"
accuracy = 0.98                   # what is known of it: an audit that measures another is refused

[audit]                           # the options of quantmis.audit
quantizers = ["sign", "uniform(bits=4)"]
shadows = 64

[search]                          # of quantmis search: what may vary, and the limits
bits = [2, 3, 4]
policy = "policy.toml"
"""

from quantmis.audit.config.building import samples_of, target_of, task_of
from quantmis.audit.config.sections import AuditFile, read, require_recipe

__all__ = ["AuditFile", "read", "require_recipe", "samples_of", "target_of", "task_of"]
