"""What runs by itself while the service serves: schedules, leases, the history of runs."""
