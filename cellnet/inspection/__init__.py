"""Looking inside a student: what happens while it carries embeddings, intact and damaged."""

from cellnet.inspection.carrier import FloatArray, Inspection, inspect, inspection_bytes

__all__ = ["FloatArray", "Inspection", "inspect", "inspection_bytes"]
