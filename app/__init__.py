"""The Kinlore service: stores, answers, API and command line."""
