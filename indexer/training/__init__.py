"""Mined pairs become batches that a model learns from, and a measure of what it has learned."""
