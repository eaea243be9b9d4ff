"""A frozen language model that refines the ranking by soft prompt and words what was verified; and its controls."""
