"""Looking inside a student: what happens while it carries embeddings, intact and damaged."""

from cellnet.inspection.carrier import Carried, FloatArray, Inspection, carry, inspect, inspection_bytes

__all__ = ["Carried", "FloatArray", "Inspection", "carry", "inspect", "inspection_bytes"]
