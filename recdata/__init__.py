"""The floor of the house: what data is, how a run is kept, and how a snapshot is written and read."""
