"""Undo and redo of one's own transactions."""
