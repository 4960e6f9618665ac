"""Looking inside a student: what happens while it carries embeddings, intact and damaged."""
