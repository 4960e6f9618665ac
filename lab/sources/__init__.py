"""Sources of students, pictures and sentences."""
