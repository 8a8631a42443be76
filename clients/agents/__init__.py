"""Ready-made agent state: plain users of the tiers."""
