"""The oracle: what a Hugging Face model computes, written again in NumPy.

It shares no code with the compiler and follows the formulas of the models' papers and of Hugging
Face's configuration keys. Rows are tokens. It is checked against test/golden, whose outputs were
computed by Hugging Face transformers.
"""

import math

import numpy as np

from checkpoint import read_directory
from rope import inverse_frequencies

_erf = np.vectorize(math.erf, otypes=[np.float64])


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return x * (0.5 * (1 + _erf(x / math.sqrt(2)))).astype(x.dtype)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "silu": silu,
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": lambda x: np.maximum(x, 0),
}


def rms_norm(x, weight, epsilon):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight


def layer_norm(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + epsilon) * weight + bias


def attention(q, k, v, first, window, causal=True):
    """softmax(q k^T / sqrt(d)) v: q [n, Hq, d] at positions first.., k and v [m, Hk, d] from 0."""
    n, heads, d = q.shape
    k, v = (np.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k, optimize=True) / np.asarray(math.sqrt(d), q.dtype)
    if causal:
        distance = first + np.arange(n)[:, None] - np.arange(len(k))[None, :]
        visible = (distance >= 0) & (distance < (window or len(k) + n))
        scores = np.where(visible, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v, optimize=True).reshape(n, heads * d)


class Model:
    """One model with its own key-value cache. `step` runs the next tokens of the sequence."""

    causal = True

    def __init__(self, config, tensors, dtype=np.float64):
        self.config, self.dtype = config, dtype
        self.tensors = {name: values.astype(dtype) for name, values in tensors.items()}
        self.setup()
        self.restart()

    def restart(self):
        self.length, self.cache = 0, [None] * self.layers

    def linear(self, x, name, bias):
        y = x @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if bias else y

    def norm(self, x, name):
        return layer_norm(x, self.tensors[name + ".weight"], self.tensors[name + ".bias"], self.epsilon)

    def attend(self, layer, q, k, v, window=None):
        """Appends k and v [n, Hk, d] to the layer's cache and lets q look at all of it."""
        if self.cache[layer] is not None:
            k, v = (np.concatenate(pair) for pair in zip(self.cache[layer], (k, v)))
        self.cache[layer] = k, v
        return attention(q, k, v, self.length, window, self.causal)

    def step(self, tokens):
        """(output, hidden): output [n, vocabulary], or [n, hidden] of a model without an LM head;
        hidden[i] [n, hidden] after i layers, the last one after the final norm as in transformers."""
        tokens = np.asarray(tokens)
        if not self.causal and self.length:
            raise ValueError("a bidirectional model takes one step")
        x = self.embed(tokens, self.length + np.arange(len(tokens)))
        hidden = [x]
        for i in range(self.layers):
            x = self.layer(i, x)
            hidden.append(x)
        self.length += len(tokens)
        hidden[-1] = self.final_norm(x)
        return self.head(hidden[-1]), hidden

    def greedy(self, tokens, count):
        """The tokens and `count` more, each the first of the largest logits."""
        self.restart()
        tokens = [int(t) for t in tokens]
        fresh = tokens
        for _ in range(count):
            fresh = [int(self.step(fresh)[0][-1].argmax())]
            tokens = tokens + fresh
        return tokens


class Decoder(Model):
    """Llama, Mistral, Qwen2 and Qwen3: RMS norm, rotary positions, gated MLP."""

    def setup(self):
        c = self.config
        architecture = c["architectures"][0]
        self.layers, self.epsilon = c["num_hidden_layers"], c.get("rms_norm_eps", 1e-6)
        self.heads = c["num_attention_heads"]
        self.kv_heads = c.get("num_key_value_heads") or self.heads
        fallback = 128 if architecture == "Qwen3ForCausalLM" else c["hidden_size"] // self.heads
        self.head_size = c.get("head_dim") or fallback
        self.attention_bias = architecture == "Qwen2ForCausalLM" or c.get("attention_bias", False)
        self.output_bias = architecture != "Qwen2ForCausalLM" and self.attention_bias
        self.mlp_bias = c.get("mlp_bias", False)
        self.head_norm = architecture == "Qwen3ForCausalLM"
        self.activation = ACTIVATIONS[c["hidden_act"]]
        self.inverse = inverse_frequencies(c, self.head_size)
        self.windows = [self.window(architecture, i) for i in range(self.layers)]

    def window(self, architecture, layer):
        c = self.config
        if architecture == "MistralForCausalLM":
            return c.get("sliding_window")
        if architecture == "LlamaForCausalLM" or not c.get("use_sliding_window", False):
            return None
        if c.get("layer_types") is not None:
            return c["sliding_window"] if c["layer_types"][layer] == "sliding_attention" else None
        return c["sliding_window"] if layer >= c.get("max_window_layers", 28) else None

    def embed(self, tokens, positions):
        angles = np.outer(positions, self.inverse)
        self.rotation = np.cos(angles).astype(self.dtype), np.sin(angles).astype(self.dtype)
        return self.tensors["model.embed_tokens.weight"][tokens]

    def rotate(self, x):
        """Pairs element i with i + d/2, as Hugging Face checkpoints lay the heads out."""
        cos, sin = (part[:, None, :] for part in self.rotation)
        low, high = np.split(x, 2, axis=-1)
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)

    def layer(self, i, x):
        p = f"model.layers.{i}."
        a = p + "self_attn."
        h = rms_norm(x, self.tensors[p + "input_layernorm.weight"], self.epsilon)
        q, k, v = (
            self.linear(h, a + f"{name}_proj", self.attention_bias).reshape(len(x), heads, self.head_size)
            for name, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads))
        )
        if self.head_norm:
            q = rms_norm(q, self.tensors[a + "q_norm.weight"], self.epsilon)
            k = rms_norm(k, self.tensors[a + "k_norm.weight"], self.epsilon)
        o = self.attend(i, self.rotate(q), self.rotate(k), v, self.windows[i])
        x = x + self.linear(o, a + "o_proj", self.output_bias)
        h = rms_norm(x, self.tensors[p + "post_attention_layernorm.weight"], self.epsilon)
        gate = self.activation(self.linear(h, p + "mlp.gate_proj", self.mlp_bias))
        up = self.linear(h, p + "mlp.up_proj", self.mlp_bias)
        return x + self.linear(gate * up, p + "mlp.down_proj", self.mlp_bias)

    def final_norm(self, x):
        return rms_norm(x, self.tensors["model.norm.weight"], self.epsilon)

    def head(self, x):
        tied = self.config.get("tie_word_embeddings", False)
        return self.linear(x, "model.embed_tokens" if tied else "lm_head", False)


class GPT2(Model):
    """GPT-2: layer norm, learned positions, Conv1D weights [in, out], fused q, k, v."""

    def setup(self):
        c = self.config
        self.layers, self.heads, self.epsilon = c["n_layer"], c["n_head"], c.get("layer_norm_epsilon", 1e-5)
        self.activation = ACTIVATIONS[c.get("activation_function", "gelu_new")]
        self.p = "transformer." if "transformer.wte.weight" in self.tensors else ""

    def conv1d(self, x, name):
        return x @ self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def embed(self, tokens, positions):
        return self.tensors[self.p + "wte.weight"][tokens] + self.tensors[self.p + "wpe.weight"][positions]

    def layer(self, i, x):
        p = f"{self.p}h.{i}."
        qkv = self.conv1d(self.norm(x, p + "ln_1"), p + "attn.c_attn")
        q, k, v = (part.reshape(len(x), self.heads, -1) for part in np.split(qkv, 3, axis=-1))
        x = x + self.conv1d(self.attend(i, q, k, v), p + "attn.c_proj")
        h = self.activation(self.conv1d(self.norm(x, p + "ln_2"), p + "mlp.c_fc"))
        return x + self.conv1d(h, p + "mlp.c_proj")

    def final_norm(self, x):
        return self.norm(x, self.p + "ln_f")

    def head(self, x):
        tied = self.config.get("tie_word_embeddings", True)
        return self.linear(x, self.p + "wte" if tied else "lm_head", False)


class Bert(Model):
    """BERT's encoder: bidirectional, norms after the residuals, token type 0 throughout."""

    causal = False

    def setup(self):
        c = self.config
        self.layers, self.heads = c["num_hidden_layers"], c["num_attention_heads"]
        self.epsilon = c.get("layer_norm_eps", 1e-12)
        self.activation = ACTIVATIONS[c.get("hidden_act", "gelu")]
        self.p = "bert." if "bert.embeddings.LayerNorm.weight" in self.tensors else ""

    def embed(self, tokens, positions):
        word, position, kind = (
            self.tensors[f"{self.p}embeddings.{name}_embeddings.weight"]
            for name in ("word", "position", "token_type")
        )
        return self.norm(word[tokens] + position[positions] + kind[0], self.p + "embeddings.LayerNorm")

    def layer(self, i, x):
        p = f"{self.p}encoder.layer.{i}."
        q, k, v = (
            self.linear(x, p + "attention.self." + name, True).reshape(len(x), self.heads, -1)
            for name in ("query", "key", "value")
        )
        o = self.linear(self.attend(i, q, k, v), p + "attention.output.dense", True)
        x = self.norm(x + o, p + "attention.output.LayerNorm")
        h = self.activation(self.linear(x, p + "intermediate.dense", True))
        return self.norm(x + self.linear(h, p + "output.dense", True), p + "output.LayerNorm")

    def final_norm(self, x):
        return x

    def head(self, x):
        return x


CLASSES = {
    "LlamaForCausalLM": Decoder,
    "MistralForCausalLM": Decoder,
    "Qwen2ForCausalLM": Decoder,
    "Qwen3ForCausalLM": Decoder,
    "GPT2LMHeadModel": GPT2,
    "BertModel": Bert,
}


def load(directory, dtype=np.float64):
    """The oracle of a model directory; dtype is that of every product and sum."""
    config, tensors = read_directory(directory)
    return CLASSES[config["architectures"][0]](config, tensors, dtype)
