"""Source text becomes chunks: languages, syntax trees, definitions, documents."""
