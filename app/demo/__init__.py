"""The recorded workspace that `kinlore demo` ingests, and the player of its tracking server."""
