"""The types: what a field of a State may be."""
