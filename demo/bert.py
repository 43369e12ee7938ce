"""A BERT encoder in numpy: enough to turn a sentence into an embedding with the weights of a MiniLM."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Array = NDArray[np.float32]


def embed(sentence: str, weights: Mapping[str, Array], config_json: str, tokenizer_json: str) -> Array:
    """Return the unit-length embedding of `sentence`: the mean of the last layer's states over all tokens."""
    config = json.loads(config_json)
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_padding()
    states = _embedded(tokenizer.encode(sentence).ids, weights, config["layer_norm_eps"])
    for layer in range(config["num_hidden_layers"]):
        states = _layer(states, f"encoder.layer.{layer}", weights, config)
    mean = states.mean(axis=0)
    unit: Array = mean / np.linalg.norm(mean)
    return unit


def _embedded(ids: list[int], weights: Mapping[str, Array], epsilon: float) -> Array:
    states = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    return _normalised(states, "embeddings.LayerNorm", weights, epsilon)


def _layer(states: Array, name: str, weights: Mapping[str, Array], config: Mapping[str, int]) -> Array:
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]

    def split(kind: str) -> Array:
        projected = _linear(states, f"{name}.attention.self.{kind}", weights)
        return projected.reshape(len(states), heads, -1).transpose(1, 0, 2)

    query, key, value = split("query"), split("key"), split("value")
    scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[-1]))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
    mixed = mixed.transpose(1, 0, 2).reshape(states.shape)
    attended = states + _linear(mixed, f"{name}.attention.output.dense", weights)
    attended = _normalised(attended, f"{name}.attention.output.LayerNorm", weights, epsilon)
    inner = _gelu(_linear(attended, f"{name}.intermediate.dense", weights))
    out = attended + _linear(inner, f"{name}.output.dense", weights)
    return _normalised(out, f"{name}.output.LayerNorm", weights, epsilon)


def _linear(states: Array, name: str, weights: Mapping[str, Array]) -> Array:
    return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _normalised(states: Array, name: str, weights: Mapping[str, Array], epsilon: float) -> Array:
    centred = states - states.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]


_erf: Callable[[Array], Array] = np.vectorize(math.erf, otypes=[np.float32])


def _gelu(states: Array) -> Array:
    return states * np.float32(0.5) * (1 + _erf(states / np.float32(math.sqrt(2))))
