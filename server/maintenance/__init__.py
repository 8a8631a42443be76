"""What is done to a data directory while no server has it open."""
