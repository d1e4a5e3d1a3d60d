"""Runs the same network with the same weights in both frameworks and compares every layer."""
