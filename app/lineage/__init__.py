"""Walks, paths and comparison, written once over the store's expand."""
