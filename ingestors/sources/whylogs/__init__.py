"""whylogs: profiles of data, and what its constraints found in them."""

from ingestors.sources.whylogs.source import WhylogsSource

__all__ = ["WhylogsSource"]
