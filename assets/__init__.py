"""Which things exist, for which slice, and when: assets, partitions, checks, jobs, schedules, sensors."""
