"""The store for teams: a Neo4j server."""
