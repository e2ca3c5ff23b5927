"""The adapters' tests need every quantization library; `make test-extras` installs them and sets QUANTMIS_EXTRAS."""

import os

collect_ignore = [] if os.environ.get("QUANTMIS_EXTRAS") else ["extras"]
