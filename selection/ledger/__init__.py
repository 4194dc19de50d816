"""Owns the ledger of picks: what each published night advised, kept for ever, and how it came out."""
