"""Owns the assortment: which items to carry under a shop's limits, solved as an integer programme."""
