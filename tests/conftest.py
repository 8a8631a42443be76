"""What holds for every test."""

from hypothesis import settings

# No deadline: two busy cores make any single example slow now and then, and that says nothing about the code.
settings.register_profile("comity", deadline=None, print_blob=True)
settings.load_profile("comity")
