"""The graph on a Neo4j server, for teams."""

from app.store.neo4j.store import Neo4jStore as Neo4jStore
