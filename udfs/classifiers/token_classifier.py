"""Model package → callable: window texts in, labelled spans out.

Owns how many word-pieces a batch holds, and how logits become spans. It knows nothing of notes,
tables or Spark. `packing.py` puts windows end to end, `devices.py` chooses the device and the
precision, and `span_decoding.py` turns probabilities into mentions with scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from udfs.classifiers import watchdog
from udfs.decoding.span_decoding import find_mentions, over_marks, softmax
from udfs.errors import ModelPackageError
from udfs.network.devices import is_out_of_memory, resolve_device, resolve_precision
from udfs.network.encoder import Encoder
from udfs.network.free_memory import give_back_free_memory
from udfs.network.packing import next_batch, pack_windows
from udfs.network.tokenization import EncodedWindow, WindowTokenizer
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import CONFIG, TOKENIZER, WEIGHTS, ModelManifest, load_manifest
from udfs.spans import Span, WindowPrediction

NO_LIMIT = np.iinfo(np.int32).max
# On a CPU, free memory in the heap is given back each time this many batches are done. That costs
# 0.1 s in 5.5 s of a model of one layer.
BATCHES_PER_TRIM = 4


class TokenClassifier:
    """One model package, loaded on one device; see `load`."""

    def __init__(
        self,
        manifest: ModelManifest,
        tokenizer: WindowTokenizer,
        encoder: Encoder,
        tokens_per_batch: int,
    ) -> None:
        self.manifest = manifest
        self.scheme = manifest.scheme
        self._tokenizer = tokenizer
        self._encoder = encoder
        self.tokens_per_batch = tokens_per_batch
        # Most word-pieces that memory allows in a batch: half of the last batch that did not fit.
        self._fits = NO_LIMIT
        self._batches = 0

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 1,
        tokens_per_batch: int = 4096,
    ) -> TokenClassifier:
        """Checks a package and loads it.

        Args:
            folder: the model package.
            device: `auto`, `cpu`, `cuda` or `cuda:<index>`.
            precision: `auto`, `float32` or `bfloat16`; auto takes bfloat16 where the
                processor multiplies it in hardware.
            threads: CPU threads of this process.
            tokens_per_batch: most word-pieces in one batch, special tokens included.

        Raises:
            ModelPackageError: the package is not usable.
            InputError: `cuda` was asked for and there is none.
        """
        manifest = load_manifest(folder)
        config = EncoderConfig.from_file(folder / CONFIG)
        tokenizer = WindowTokenizer.from_file(folder / TOKENIZER)
        if tokenizer.vocabulary_size > config.vocab_size:
            raise ModelPackageError(
                f"{folder}: the tokenizer gives ids up to {tokenizer.vocabulary_size - 1}, the "
                f"model has {config.vocab_size}; use the tokenizer of the same model"
            )
        if manifest.max_wordpieces > config.longest_piece:
            raise ModelPackageError(
                f"{folder}: max_wordpieces {manifest.max_wordpieces} is more than the model's "
                f"{config.longest_piece} positions"
            )
        torch.set_num_threads(threads)
        chosen = resolve_device(device)
        dtype = resolve_precision(precision, chosen)
        encoder = Encoder(folder / WEIGHTS, config, len(manifest.labels), chosen, dtype)
        return cls(manifest, tokenizer, encoder, tokens_per_batch)

    def use(self, threads: int, tokens_per_batch: int) -> None:
        """Sets what may differ from one task of a worker to the next."""
        torch.set_num_threads(threads)
        self.tokens_per_batch = tokens_per_batch

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold."""
        return self._encoder.parameters

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """One prediction for each window text, in order; nothing is truncated."""
        if not texts:
            return []
        windows = self._tokenizer.encode(texts)
        counts = np.array([len(w.ids) for w in windows], dtype=np.int64)
        starts = np.concatenate(([0], np.cumsum(counts)))
        words = _words(windows, starts)
        logits = self._word_logits(windows, words.first_piece)
        spans = self._decode(texts, words, logits)
        return [
            WindowPrediction(tuple(spans[i]), int(counts[i]), self._unread(windows[i]))
            for i in range(len(texts))
        ]

    def _unread(self, window: EncodedWindow) -> int:
        unknown = window.ids == self._tokenizer.unknown_id
        return int((window.ends[unknown] - window.begins[unknown]).sum())

    def _word_logits(
        self, windows: list[EncodedWindow], first_pieces: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """`(words, labels)`: the scores of each word's first piece, which decides for the word.

        `first_pieces` are the positions of these pieces in all windows put end to end.
        """
        packed = pack_windows(
            windows,
            self.manifest.max_wordpieces,
            self.manifest.overlap,
            self._tokenizer.cls_id,
            self._tokenizer.sep_id,
        )
        source_of = np.empty(len(packed.targets), dtype=np.int64)
        source_of[packed.targets] = packed.sources
        sources = source_of[first_pieces]
        wanted = np.sort(sources)
        ends = np.cumsum(packed.lengths)
        logits = np.empty((len(wanted), len(self.manifest.labels)), dtype=np.float32)
        first = begin = 0
        while first < len(ends):
            watchdog.beat()
            last = next_batch(ends, first, min(self.tokens_per_batch, self._fits))
            end = int(ends[last - 1])
            rows = slice(*np.searchsorted(wanted, (begin, end)))
            ids, lengths = packed.ids[begin:end], packed.lengths[first:last]
            try:
                found = self._encoder.logits(ids, lengths, wanted[rows] - begin)
            except (RuntimeError, MemoryError) as error:
                if last == first + 1 or not is_out_of_memory(error):
                    raise
                self._fits = (end - begin) // 2
                continue
            logits[rows] = found.cpu().numpy()
            first, begin = last, end
            self._batches += 1
            if self._encoder.device.type == "cpu" and self._batches % BATCHES_PER_TRIM == 0:
                give_back_free_memory()
        return logits[np.searchsorted(wanted, sources)]

    def _decode(
        self,
        texts: Sequence[str],
        words: _Words,
        logits: NDArray[np.float32],
    ) -> list[list[Span]]:
        spans: list[list[Span]] = [[] for _ in texts]
        if not len(words.window):
            return spans
        found = find_mentions(
            self.scheme, softmax(logits), words.starts_window, self.manifest.calibration
        )
        for first, last, label, score in zip(
            found.first, found.last, found.label, found.score, strict=True
        ):
            window = int(words.window[first])
            end = over_marks(texts[window], int(words.end[last]), int(words.next_begin[last]))
            name = self.scheme.entity_labels[label]
            spans[window].append(Span(int(words.begin[first]), end, name, float(score)))
        return spans


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of many windows end to end, as columns."""

    first_piece: NDArray[np.int64]
    window: NDArray[np.int64]
    starts_window: NDArray[np.bool_]
    begin: NDArray[np.int32]
    end: NDArray[np.int32]
    next_begin: NDArray[np.int64]


def _words(windows: list[EncodedWindow], starts: NDArray[np.int64]) -> _Words:
    counts = np.array([len(w.first_pieces) for w in windows], dtype=np.int64)
    window = np.repeat(np.arange(len(windows)), counts)
    starts_window = np.ones(len(window), dtype=bool)
    starts_window[1:] = window[1:] != window[:-1]
    begin = np.concatenate([w.word_begins for w in windows])
    # No word follows the last one of a window, so nothing limits its combining marks.
    following = np.where(starts_window[1:], NO_LIMIT, begin[1:])
    return _Words(
        first_piece=np.concatenate([w.first_pieces for w in windows]) + starts[:-1][window],
        window=window,
        starts_window=starts_window,
        begin=begin,
        end=np.concatenate([w.word_ends for w in windows]),
        next_begin=np.append(following, NO_LIMIT),
    )
