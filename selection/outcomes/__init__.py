"""What is likely to become of an item: a hit, the top of its category, worth keeping; what it will earn."""
