"""Moves the clock of every process that has this folder on its path to begin with, by MOVED_CLOCK_SECONDS seconds.

For tests of daemons (``tests/integration/market_clock.py``); forks of such a process keep the moved clock.
"""

import os
import time

if "MOVED_CLOCK_SECONDS" in os.environ:
    import time_machine

    time_machine.travel(time.time() + float(os.environ["MOVED_CLOCK_SECONDS"]), tick=True).start()
