"""Fuzzing by coverage, run by hand: `python -m tests.fuzz TARGET --minutes N`; needs atheris."""
