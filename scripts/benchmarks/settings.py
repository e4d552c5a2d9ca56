"""Section `settings`: what other sizes of SASA's blocks and other numbers of them cost."""

import tempfile
from pathlib import Path

from benchmarks.measure import Work, compare, summary
from benchmarks.options import Options
from benchmarks.systems import (
    SYSTEMS,
    batch_size,
    encode,
    long_checkpoint,
    random_inputs,
    settled,
    with_settings,
)
from models.config import SasaConfig
from models.encoder import Encoder

LENGTHS = (2048, 4096)
TOKENS = {"cpu": 8192, "cuda": 131_072}
DEFAULT = "sasa"
# As `evaluate_longcode.py --systems` takes them, which tells what they find.
CHOICES = (
    DEFAULT,
    "sasa:top_k_blocks=0",
    "sasa:top_k_blocks=3",
    "sasa:top_k_blocks=6",
    "sasa:window_blocks=1",
    "sasa:window_blocks=5",
    "sasa:global_blocks=1",
    "sasa:global_blocks=4",
    "sasa:block_size=32",
    "sasa:block_size=32,window_blocks=7,global_blocks=4,top_k_blocks=5",
    "sasa:block_size=128",
    "sasa:block_size=128,window_blocks=1,global_blocks=1,top_k_blocks=2",
)


def measure(options: Options) -> dict:
    """Tokens/s of the default model by length and settings, and the tokens that a row sees."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(long_checkpoint(Path(folder) / "model", max(LENGTHS)), options.device)
    base, measured = encoder.config, {}
    patience = options.patience.over(len(LENGTHS))
    for length in LENGTHS:
        batch = batch_size(length, TOKENS[encoder.device.type])
        works = {name: _work(encoder, base, name, length, batch, options) for name in CHOICES}
        seconds = compare(works, encoder.device, patience)
        measured[str(length)] = {
            "batch": batch,
            "systems": summary(seconds, DEFAULT, batch * length),
        }
    settings = {name: with_settings(base, name) for name in CHOICES}
    seen = {name: config.row_blocks * config.block_size for name, config in settings.items()}
    return {"models": {"default": {"lengths": measured}}, "tokens_seen": seen}


def _work(
    encoder: Encoder, base: SasaConfig, name: str, length: int, batch: int, options: Options
) -> Work:
    config, system, rule = with_settings(base, name), SYSTEMS["sasa"], settled(encoder.device)
    inputs = random_inputs(system, config, length, batch, options.seed)

    def work() -> object:
        encoder.config = config
        return encode(encoder, rule, system, inputs)

    return work
