"""The FastAPI application: GraphQL, health, and later webhooks."""
