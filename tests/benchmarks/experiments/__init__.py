"""Planted configuration failures among real runs: the twin is found, and what differs is named."""
