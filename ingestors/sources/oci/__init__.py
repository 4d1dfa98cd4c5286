"""OCI registries: which image has which digest, which commit it was built from, what its tags stood for."""

from ingestors.sources.oci.source import OciConfig, OciSource

__all__ = ["OciConfig", "OciSource"]
