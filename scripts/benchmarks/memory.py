"""Peak memory of encoding, each case in a process of its own, and the batch that fits a limit."""

import tempfile
from pathlib import Path

import torch

from benchmarks.measure import PeakMemory
from benchmarks.options import Options
from benchmarks.processes import having_imported, in_process
from benchmarks.systems import MODELS, SYSTEMS, batch_size, encode, fits, random_inputs, settled
from models.checkpoint import open_checkpoint
from models.encoder import Encoder

# Inputs of a batch at each length hold about as many tokens.
TOKENS = {"default": 8192, "codebert-sized": 4096}
# On a CPU one long input of the larger model takes minutes.
LONGEST_ON_CPU = {"codebert-sized": 4096}
# One more batch of this length says what an input takes; a smaller one where it takes much.
FIT_LENGTH = 4096
FIT_BATCHES = {"eager": 1}
OTHER_FIT_BATCH = 8
IMPORTS = (
    "models.encoder",
    "transformers.models.bert.modeling_bert",
    "transformers.models.roberta.modeling_roberta",
)


def measure(options: Options) -> dict:
    """Peak memory by model, length and system; largest batches for the default model."""
    models, largest = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        in_process(make_models, Path(folder), max(options.memory_lengths))
        for model in MODELS:
            models[model] = peaks(Path(folder) / model, model, options)
        at = models["default"].get(str(FIT_LENGTH))
        if at is not None:
            largest = largest_batches(Path(folder) / "default", at, options)
    return {"models": models, "memory_gb": options.memory_gb, "largest_batch": largest}


def make_models(folder: Path, max_tokens: int) -> None:
    """Checkpoints for the processes to load."""
    for name, make in MODELS.items():
        make(folder / name, max_tokens)


def peaks(folder: Path, model: str, options: Options) -> dict:
    """By length: the memory of each system, None where it ran out."""
    longest = LONGEST_ON_CPU.get(model) if options.device == "cpu" else None
    measured = {}
    for length in options.memory_lengths:
        if longest is not None and length > longest:
            continue
        batch = batch_size(length, TOKENS[model])
        systems = {name: _encoded(folder, name, length, batch, options) for name in SYSTEMS}
        measured[str(length)] = {"batch": batch, "systems": systems}
    return measured


def largest_batches(folder: Path, at: dict, options: Options) -> dict:
    """How many inputs of FIT_LENGTH tokens fit, by the line through two measured batches."""
    largest = {}
    for name, known in at["systems"].items():
        batch = FIT_BATCHES.get(name, OTHER_FIT_BATCH)
        other = _encoded(folder, name, FIT_LENGTH, batch, options)
        if known is None or other is None:
            largest[name] = None
            continue
        each = (other["peak_mb"] - known["peak_mb"]) / (batch - at["batch"])
        room = options.memory_gb * 1000 - known["peak_mb"]
        fitting = max(0, int(at["batch"] + room / max(each, 1)))
        largest[name] = {"batch": fitting, "mb_each": round(each, 1)}
    return largest


def _encoded(
    folder: Path, name: str, length: int, batch: int, options: Options
) -> dict[str, int] | None:
    context = having_imported(*IMPORTS)
    return in_process(encode_once, folder, name, length, batch, options, context=context)


def encode_once(
    folder: Path, name: str, length: int, batch: int, options: Options
) -> dict[str, int] | None:
    """The memory of one batch in this process; what compiling and loading took is not counted."""
    checkpoint = open_checkpoint(folder)
    encoder = Encoder(checkpoint, options.device)
    heads = checkpoint.config["num_attention_heads"]
    if not fits(name, heads, length, batch, encoder.device):
        return None
    rule, system = settled(encoder.device), SYSTEMS[name]
    if rule.compiles:
        first = encoder.config.full_tokens + encoder.config.block_size
        encode(encoder, rule, system, random_inputs(system, encoder.config, first, 2, 0))
    inputs = random_inputs(system, encoder.config, length, batch, options.seed)
    memory = PeakMemory(encoder.device)
    try:
        encode(encoder, rule, system, inputs)
    except torch.OutOfMemoryError:
        return None
    return memory.report()
