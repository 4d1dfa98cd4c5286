"""What needs more than one record: pure derivation of edges per key and window."""
