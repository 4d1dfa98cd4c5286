"""DVC: data sets and their versions, read out of the git blobs of every commit."""

from ingestors.sources.dvc.source import DvcSource

__all__ = ["DvcSource"]
