"""Measurements, side by side in one run: the unit is CPU of the server process per request."""
