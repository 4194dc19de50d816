"""Owns how demand falls on places: an item's forecast split over channels and regions."""
