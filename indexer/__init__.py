"""A repository becomes an index: walk, parse, chunk, embed, store."""
