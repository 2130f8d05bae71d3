"""The viewer: a feed as a person would see it and, beside it, why."""
