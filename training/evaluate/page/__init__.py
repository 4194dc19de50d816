"""Owns evaluation.html: one self-contained page, Chinese first, that opens offline."""
