"""Rationales: from facts that carry a score to checkable claims in one or two sentences, and back."""
