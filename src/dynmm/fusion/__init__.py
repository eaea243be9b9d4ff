"""One latent per item from whatever is known of it, and the vector of a user beside it."""
