"""The graph stores, behind graph_schema's protocol."""
