"""The history of rooms: their versions, checkpoints and branches, and how clients ask for them."""
