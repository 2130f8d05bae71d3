"""The generation slot: one request in, one slate out, in time."""
