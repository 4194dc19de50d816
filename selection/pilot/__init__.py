"""Owns the pilot plan: where to try the picks first, for how long, and where to go from there."""
