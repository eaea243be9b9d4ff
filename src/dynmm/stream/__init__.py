"""The durable log of events, its snapshots, and what leaves it again."""
