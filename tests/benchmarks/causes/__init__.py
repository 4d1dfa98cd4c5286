"""Planted causes: generated ML organisations in which it is known what broke what, and how well it is found.

``organisation`` makes one from a seed, ``writing`` brings it into a real store as claims, ``scoring`` asks
the product and the baselines. Targets are written down in ``targets``, with the seeds they hold for.
"""
