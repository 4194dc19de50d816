"""Owns prices: bands, an item's place in its category, elasticity where the data identify it, discounts."""
