"""BentoML: the models and bentos of a store, read from its files."""

from ingestors.sources.bentoml.source import BentoMLConfig, BentoMLSource

__all__ = ["BentoMLConfig", "BentoMLSource"]
