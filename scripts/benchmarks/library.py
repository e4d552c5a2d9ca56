"""Real texts to vectors: sentence-transformers with the same weights, and this encoder.

Both start from the texts (here with the places that the syntax tree connects), tokenize, sort by
length, batch and encode in bf16, each in a process of its own; they take turns. The library gets
the batch size that is fastest on a part of the texts.
"""

import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.options import Options
from benchmarks.processes import in_process, new_process
from benchmarks.texts import Text, histogram, read_texts, sample
from models.checkpoint import Checkpoint, open_checkpoint
from provenance import commit

BATCH_SIZES = (8, 16, 32, 64, 128)
# Both are full attention up to this length: the vectors must be the same, but for bf16.
SAME_TOKENS = 512


def measure(options: Options) -> dict:
    """Tokens/s, peak memory and agreement over a sample of real texts."""
    checkpoint = open_checkpoint()
    texts = read_texts(options.repositories, checkpoint)
    chosen = sample(texts, options.sample_tokens, options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / checkpoint.name
        shutil.copytree(checkpoint.folder, folder)
        some = chosen[: max(1, len(chosen) // 4)]
        rates = in_process(_batch_size_rates, folder, options.device, some)
        batch_size = max(rates, key=rates.__getitem__)
        with new_process() as ours, new_process() as library:
            ours.submit(_start_ours, options.device).result()
            library.submit(_start_library, folder, options.device).result()
            passes = _take_turns(ours, library, chosen, batch_size, options)
    tokens = sum(text.tokens for text in chosen)
    return {
        "repositories": {path.name: commit(path) for path in options.repositories},
        "histogram": histogram(texts),
        "sample": histogram(chosen),
        "batch_size": batch_size,
        "batch_size_tokens_per_second": rates,
        "systems": {name: _figures(done, tokens) for name, done in passes.items()},
        "speedup": round(
            median(
                library["seconds"] / own["seconds"]
                for own, library in zip(*passes.values(), strict=True)
            ),
            3,
        ),
        "cosine": _agreement(passes, chosen),
    }


def _batch_size_rates(folder: Path, device: str, texts: list[Text]) -> dict[int, int]:
    """Tokens/s of the library by batch size, in a process whose memory does not count."""
    _start_library(folder, device)
    plain, tokens = [text.text for text in texts], sum(text.tokens for text in texts)
    _pass_library(plain[:64], BATCH_SIZES[0])
    return {size: round(tokens / _pass_library(plain, size)["seconds"]) for size in BATCH_SIZES}


def _take_turns(
    ours: ProcessPoolExecutor,
    library: ProcessPoolExecutor,
    texts: list[Text],
    batch_size: int,
    options: Options,
) -> dict[str, list[dict]]:
    """Passes over all texts, one after the other in both orders."""
    plain = [text.text for text in texts]
    works = {
        "ours": lambda: ours.submit(_pass_ours, texts).result(),
        "sentence-transformers": lambda: library.submit(_pass_library, plain, batch_size).result(),
    }
    passes: dict[str, list[dict]] = {name: [] for name in works}
    for number in options.patience:
        for name in list(works)[:: -1 if number % 2 else 1]:
            passes[name].append(works[name]())
    return passes


def _figures(passes: list[dict], tokens: int) -> dict:
    seconds = median(done["seconds"] for done in passes)
    encoding = median(done["encoding_seconds"] for done in passes)
    return {
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds),
        "encoding_tokens_per_second": round(tokens / encoding),
        "peak_mb": max(done["memory"]["peak_mb"] for done in passes),
        "added_mb": max(done["memory"]["added_mb"] for done in passes),
        "rounds": len(passes),
    }


def _agreement(passes: dict[str, list[dict]], texts: list[Text]) -> dict:
    """Cosines between the vectors of the two, of texts that both attend to in full."""
    ours, library = (done[-1]["vectors"] for done in passes.values())
    short = np.array([text.tokens <= SAME_TOKENS for text in texts])
    library /= np.linalg.norm(library, axis=1, keepdims=True)  # bf16 is not quite of length 1
    cosine = (ours * library).sum(1)[short]
    return {
        "texts": int(short.sum()),
        "up_to_tokens": SAME_TOKENS,
        "mean": round(float(cosine.mean()), 5),
        "least": round(float(cosine.min()), 5),
    }


_state: dict = {}  # what a process keeps between calls


def _start_ours(device: str) -> None:
    """Load the encoder, past the time that it encodes without compiling."""
    from benchmarks.systems import settled
    from models.encoder import Encoder
    from models.prior import load_prior
    from models.tokenizer import Tokenizer

    checkpoint = open_checkpoint()
    encoder = Encoder(checkpoint, device)
    encoder.paths = settled(encoder.device)
    _state.update(
        checkpoint=checkpoint,
        encoder=encoder,
        tokenizer=Tokenizer(checkpoint),
        prior=load_prior(checkpoint.folder),
        device=encoder.device,
    )


def _pass_ours(texts: list[Text]) -> dict:
    """Texts to vectors as indexing does it; and the seconds of the encoder alone."""
    from benchmarks.measure import PeakMemory
    from models.batching import input_batches, pace_of
    from models.inputs import encoder_input

    encoder, checkpoint = _state["encoder"], _state["checkpoint"]
    memory, start, encoding = PeakMemory(_state["device"]), time.perf_counter(), 0.0
    tokenized = _state["tokenizer"].tokenize([text.text for text in texts])
    inputs = [
        encoder_input(tokens, text.links, checkpoint.sasa, _state["prior"], text.has_head)
        for tokens, text in zip(tokenized, texts, strict=True)
    ]
    vectors = np.zeros((len(texts), checkpoint.dimension), dtype=np.float32)
    budget = pace_of(encoder.device.type).batch_tokens
    for batch in input_batches(inputs, budget):
        began = time.perf_counter()
        vectors[batch] = encoder.embed([inputs[i] for i in batch])
        encoding += time.perf_counter() - began
    return _done(start, memory, vectors) | {"encoding_seconds": encoding}


def _start_library(folder: Path, device: str) -> None:
    """The same weights as a SentenceTransformer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers.utils import logging

    from models.encoder import choose_device

    logging.disable_progress_bar()
    checkpoint: Checkpoint = open_checkpoint(folder)
    transformer = Transformer(
        str(folder),
        max_seq_length=checkpoint.sasa.max_tokens,
        model_kwargs={
            "dtype": torch.bfloat16,
            "attn_implementation": "sdpa",
            "add_pooling_layer": False,
        },
    )
    modules = [transformer, Pooling(checkpoint.dimension, "mean"), Normalize()]
    where = choose_device(device)
    _state.update(model=SentenceTransformer(modules=modules, device=str(where)), device=where)


def _pass_library(texts: list[str], batch_size: int) -> dict:
    """Texts to vectors by the library's own call, which sorts them by length."""
    from benchmarks.measure import PeakMemory

    memory, start = PeakMemory(_state["device"]), time.perf_counter()
    vectors = _state["model"].encode(texts, batch_size=batch_size, show_progress_bar=False)
    done = _done(start, memory, np.asarray(vectors, dtype=np.float32))
    return done | {"encoding_seconds": done["seconds"]}


def _done(start: float, memory, vectors: np.ndarray) -> dict:
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": memory.report(), "vectors": vectors}
