"""The four tasks on long code: files, inputs, heads, training, scores."""
