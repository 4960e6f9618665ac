"""The Probe page."""
