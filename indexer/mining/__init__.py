"""Pairs of a question and the code that answers it, taken from repositories as they are."""
