"""Checks of our drivers for Linux from outside of a guest."""
