"""From tools to claims: sources, the pull-and-write loop, derivation."""
