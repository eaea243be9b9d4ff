"""The small adapter that moves with the stream: the only part with gradient steps online."""
