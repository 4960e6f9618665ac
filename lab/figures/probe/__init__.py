"""Figures of a student at work on sentences, from inspections and plain arrays."""
