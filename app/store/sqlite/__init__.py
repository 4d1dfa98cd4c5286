"""The embedded store: SQLite in one file."""

from app.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
