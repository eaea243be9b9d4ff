"""Frozen encoders that read, look and listen: from an item's content to a vector."""
