"""What tests of the rules share: the stores of the contract's tests."""

from tests.contract.conftest import chosen_engines, clock, engine, fresh, sqlite_template, store

__all__ = ["chosen_engines", "clock", "engine", "fresh", "sqlite_template", "store"]
