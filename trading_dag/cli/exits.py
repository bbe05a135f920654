"""Exit codes of the command line."""

from typing import Final

WORK_FAILED: Final = 1
BAD_USAGE: Final = 2
INTERRUPTED: Final = 130
