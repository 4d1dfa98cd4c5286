"""The embedded store, the default."""
