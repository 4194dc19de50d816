"""Owns what is likely to become of an item: chances of a hit, of the top, of being worth keeping; its value."""
