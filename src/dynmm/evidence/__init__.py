"""Facts that carry the score: who took what after what, what items share, and what they add to the number."""
