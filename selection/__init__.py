"""Decisions: what to launch, push, keep, discount and drop, with reasons and a back-test."""
