"""Owns demand of items too young to have a history: look-alikes, launch curve, updating, early buyers."""
