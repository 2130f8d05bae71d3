"""The text half of the mini vocabulary: a byte-level BPE, so that no text is unknown.

In:  the texts of a dataset, once, to learn merges; any text afterwards.
Out: ids.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY_SIZE = 512  # 256 bytes and the merges that a small corpus of captions supports


def learn_text_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Return a byte-level BPE with merges learned from `texts`; deterministic."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_text_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer stored as JSON at `path`."""
    return Tokenizer.from_file(str(path))
