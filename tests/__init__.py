"""Tests: unit, contract (both stores), sources (real tools), api, faults, benchmarks."""
