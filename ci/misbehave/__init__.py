"""Guests' drivers on devices that misbehave."""
