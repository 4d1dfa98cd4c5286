"""CloudEvents and CDEvents: what any tool may tell of releases and incidents."""

from ingestors.sources.events.source import EventsSource

__all__ = ["EventsSource"]
