"""Schemas: State classes, what they check, and how their versions follow each other."""
