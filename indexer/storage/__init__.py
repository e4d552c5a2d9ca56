"""What is kept on disk: one database per repository, shared vectors, the FAISS cache."""
