"""What changes during the day: events, stock, prices, rules, erasures; one LMDB file beside the snapshots."""
