"""A Whisper model with random weights, in the format of CTranslate2: real code, no meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, HEADS = 16, 2
_MELS, _FRAMES, _TOKENS, _WORDS = 80, 1500, 448, 100
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")


def write_tiny_whisper(folder: Path, seed: int = 0) -> Path:
    """A model of English, of one layer, that says something, whatever it hears."""
    import ctranslate2
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    specials = ["<|endoftext|>", "<|startoftranscript|>"]
    specials += [f"<|{name}|>" for name in _TASKS]
    specials += [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = [*letters, *(f"Ġword{number}" for number in range(_WORDS))]
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(plain)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])

    spec = ctranslate2.specs.WhisperSpec(1, HEADS, 1, HEADS)
    tokens = [*plain, *specials]
    _Filler(seed).fill(spec, len(tokens))
    spec.register_vocabulary(tokens)
    spec.config.lang_ids = []
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokens.index("<|endoftext|>")]
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": _MELS}))
    return folder


class _Filler:
    """Random weights of the right shapes."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def fill(self, spec: Any, tokens: int) -> None:
        encoder, decoder = spec.encoder, spec.decoder
        for conv, channels in ((encoder.conv1, _MELS), (encoder.conv2, WIDTH)):
            conv.weight = self._weights(WIDTH, channels, 3)
            conv.bias = self._weights(WIDTH)
        encoder.position_encodings.encodings = self._weights(_FRAMES, WIDTH)
        decoder.position_encodings.encodings = self._weights(_TOKENS, WIDTH)
        decoder.embeddings.weight = self._weights(tokens, WIDTH)
        self._linear(decoder.projection, tokens, WIDTH)
        self._norm(encoder.layer_norm)
        self._norm(decoder.layer_norm)
        for layer in (encoder.layer[0], decoder.layer[0]):
            self._norm(layer.self_attention.layer_norm)
            self._linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
            self._linear(layer.self_attention.linear[1], WIDTH, WIDTH)
            self._norm(layer.ffn.layer_norm)
            self._linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
            self._linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
        across = decoder.layer[0].attention
        self._norm(across.layer_norm)
        for linear, size in zip(across.linear, (WIDTH, 2 * WIDTH, WIDTH), strict=True):
            self._linear(linear, size, WIDTH)

    def _weights(self, *shape: int) -> npt.NDArray[np.float32]:
        return self._random.normal(0, 0.4, shape).astype(np.float32)

    def _linear(self, linear: Any, rows: int, columns: int) -> None:
        linear.weight, linear.bias = self._weights(rows, columns), self._weights(rows)

    def _norm(self, norm: Any) -> None:
        norm.gamma = np.ones(WIDTH, dtype=np.float32)
        norm.beta = np.zeros(WIDTH, dtype=np.float32)
