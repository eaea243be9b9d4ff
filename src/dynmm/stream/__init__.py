"""The durable log of what happened, its backends, and snapshots of what was made of it. No torch anywhere here."""
