"""Texts whose vectors the original model made, for `original_vectors.npy`.

Made with sentence-transformers 6.2.0 and all-MiniLM-L6-v2 in float32 on a CPU, up to 512 tokens,
normalised, stored as float16; a row per text.
"""

CODE = '''def load(path):
    """Read a JSON file."""
    with open(path) as file:
        return json.load(file)


'''
TEXTS = ["parse json config", CODE, CODE * 12]
