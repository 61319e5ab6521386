#!/usr/bin/env python3
"""Makes the GGUF seeds of this folder with gguf-py, which is not ours: small networks of random weights, one per
architecture, and for each what Hugging Face would store, in f32 after the same quantisation.

    pip install gguf==0.19.0 safetensors numpy
    python3 make.py

The order of rows and columns follows llama.cpp's convert_hf_to_gguf.py: q and k of llama are permuted for interleaved
rotation, gpt2's projections are turned.
"""
import os

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q
from safetensors.numpy import save_file

here = os.path.dirname(os.path.abspath(__file__))
C, F, V, T, HEADS, KV = 64, 96, 40, 32, 4, 2  # hidden, intermediate, vocabulary, positions
D = C // HEADS


def permute(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpermute(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


class Seed:
    def __init__(self, architecture):
        self.random = np.random.default_rng(7)
        self.name, self.truth = architecture, {}
        self.writer = w = gguf.GGUFWriter(os.path.join(here, architecture + ".gguf"), architecture)
        w.add_name("seed " + architecture)
        w.add_block_count(1)
        w.add_context_length(T)
        w.add_embedding_length(C)
        w.add_feed_forward_length(F)
        w.add_head_count(HEADS)
        w.add_tokenizer_model("gpt2")
        w.add_token_list([b"token %d" % i for i in range(V)])
        w.add_bos_token_id(1)
        w.add_eos_token_id(2)

    def add(self, name, hf, shape, kind=Q.F32, heads=0, turn=False):
        """shape: Hugging Face's."""
        w = self.random.normal(0, 0.5, shape).astype(np.float32)
        stored = permute(w, heads) if heads else np.ascontiguousarray(w.T) if turn else w
        raw = gguf.quantize(stored, kind) if kind != Q.F32 else stored
        self.writer.add_tensor(name, raw, raw_dtype=kind)
        back = gguf.dequantize(raw, kind).reshape(stored.shape) if kind != Q.F32 else stored
        self.truth[hf] = np.ascontiguousarray(unpermute(back, heads) if heads else back.T if turn else back)

    def finish(self):
        for step in ("header", "kv_data", "tensors"):
            getattr(self.writer, f"write_{step}_to_file")()
        self.writer.close()
        save_file(self.truth, os.path.join(here, self.name + ".safetensors"))


def llama(architecture, bias):
    s = Seed(architecture)
    kv = KV * D
    s.writer.add_head_count_kv(KV)
    s.writer.add_layer_norm_rms_eps(1e-6)
    s.writer.add_rope_freq_base(500000.0)
    s.writer.add_rope_dimension_count(D)
    turned = architecture == "llama"
    layer = "model.layers.0."
    s.add("token_embd.weight", "model.embed_tokens.weight", (V, C), Q.Q8_0)
    s.add("output_norm.weight", "model.norm.weight", (C,))
    s.add("blk.0.attn_norm.weight", layer + "input_layernorm.weight", (C,))
    s.add("blk.0.ffn_norm.weight", layer + "post_attention_layernorm.weight", (C,))
    for p, rows, heads, kind in (("q", C, HEADS, Q.Q4_0), ("k", kv, KV, Q.Q5_1), ("v", kv, 0, Q.F16)):
        s.add(f"blk.0.attn_{p}.weight", f"{layer}self_attn.{p}_proj.weight", (rows, C), kind, heads * turned)
        if bias:
            s.add(f"blk.0.attn_{p}.bias", f"{layer}self_attn.{p}_proj.bias", (rows,), Q.F32, heads * turned)
    s.add("blk.0.attn_output.weight", layer + "self_attn.o_proj.weight", (C, C), Q.BF16)
    s.add("blk.0.ffn_gate.weight", layer + "mlp.gate_proj.weight", (F, C), Q.Q5_0)
    s.add("blk.0.ffn_up.weight", layer + "mlp.up_proj.weight", (F, C), Q.Q4_1)
    s.add("blk.0.ffn_down.weight", layer + "mlp.down_proj.weight", (C, F), Q.Q8_0)
    s.add("output.weight", "lm_head.weight", (V, C), Q.F16)
    s.finish()


def gpt2():
    s = Seed("gpt2")
    s.writer.add_layer_norm_eps(1e-5)
    layer = "transformer.h.0."
    s.add("token_embd.weight", "transformer.wte.weight", (V, C), Q.F16)
    s.add("position_embd.weight", "transformer.wpe.weight", (T, C))
    for ours, theirs, shape in (("attn_qkv", "attn.c_attn", (C, 3 * C)), ("attn_output", "attn.c_proj", (C, C)),
                                ("ffn_up", "mlp.c_fc", (C, F)), ("ffn_down", "mlp.c_proj", (F, C))):
        s.add(f"blk.0.{ours}.weight", f"{layer}{theirs}.weight", shape, Q.Q8_0, turn=True)
        s.add(f"blk.0.{ours}.bias", f"{layer}{theirs}.bias", shape[1:])
    for part in ("weight", "bias"):
        s.add(f"blk.0.attn_norm.{part}", f"{layer}ln_1.{part}", (C,))
        s.add(f"blk.0.ffn_norm.{part}", f"{layer}ln_2.{part}", (C,))
        s.add(f"output_norm.{part}", f"transformer.ln_f.{part}", (C,))
    s.finish()


llama("llama", False)
llama("qwen2", True)
gpt2()
