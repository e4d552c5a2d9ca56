"""The whole encoder, token ids to vectors: the default model and one of CodeBERT's size."""

import tempfile
from pathlib import Path

from benchmarks.measure import Work, compare, summary
from benchmarks.options import Options, Patience
from benchmarks.systems import MODELS, SYSTEMS, batch_size, encode, fits, random_inputs, settled
from models.encoder import Encoder

# Tokens of a batch.
TOKENS = {
    "default": {"cpu": 8192, "cuda": 131_072},
    "codebert-sized": {"cpu": 2048, "cuda": 65_536},
}


def measure(options: Options) -> dict:
    """Tokens/s of each system by model and length."""
    measured = {}
    for name, make in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = make(Path(folder) / name, max(options.lengths))
            encoder = Encoder(checkpoint, options.device)
        patience = options.patience.over(len(MODELS) * len(options.lengths))
        measured[name] = {
            "config": {
                key: checkpoint.config[key]
                for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")
            },
            "lengths": {
                str(length): compare_at(
                    length, batch_size(length, TOKENS[name][encoder.device.type]), encoder,
                    checkpoint.config["num_attention_heads"], patience, options.seed,
                )
                for length in options.lengths
            },
        }  # fmt: skip
    return {"dtype": str(encoder.dtype).removeprefix("torch."), "models": measured}


def compare_at(
    length: int, batch: int, encoder: Encoder, heads: int, patience: Patience, seed: int
) -> dict:
    """All systems at one length, in turns."""
    rule = settled(encoder.device)
    works: dict[str, Work] = {}
    for name, system in SYSTEMS.items():
        if fits(name, heads, length, batch, encoder.device):
            inputs = random_inputs(system, encoder.config, length, batch, seed)
            works[name] = lambda system=system, inputs=inputs: encode(
                encoder, rule, system, inputs
            )
    compiles = rule.compiles or encoder.device.type == "cuda"
    seconds = compare(works, encoder.device, patience, frozenset({"eager"}), compiles)
    return {"batch": batch, "systems": summary(seconds, "full", batch * length)}
