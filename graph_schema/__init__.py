"""The vocabulary: kinds, edges, identity, values and the store's protocol."""
