"""Exit codes of the command line. Those of a process that a signal ended are in ``assets.run.stopping``."""

from typing import Final

WORK_FAILED: Final = 1
BAD_USAGE: Final = 2
