"""The tiers: state of one agent, of many, of one conversation and of an agent's whole life, behind one facade."""
