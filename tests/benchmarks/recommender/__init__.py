"""How well similar failures are found: the service's own ranking over reports whose duplicates are known."""
