"""Candidates from the latents: exact search, and a product-quantised index for large catalogues."""
