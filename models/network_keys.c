// What every key of a Hugging Face config.json means to Weft; models/network_keys.h says how it is used.
//
// Sources: the configuration classes of transformers 4.x and 5.x (GPT2Config, LlamaConfig, Qwen2Config, MistralConfig,
// GPTJConfig, BertConfig and their base class), and the muP keys of the configs that Cerebras published (BTLM).
#include "models/network_keys.h"

#include <string.h>

#include "base/text.h"

enum { G = 1 << WEFT_GPT2, L = 1 << WEFT_LLAMA, J = 1 << WEFT_GPTJ, B = 1 << WEFT_BERT, ALL = G | L | J | B };

static const weft_network_key keys[] = {
    // Sizes and numbers that shape the network.
    {"model_type", ALL, WEFT_KEY_USED},
    {"vocab_size", ALL, WEFT_KEY_USED},
    {"architectures", ALL, WEFT_KEY_USED},
    {"tie_word_embeddings", ALL, WEFT_KEY_USED},
    {"initializer_range", ALL, WEFT_KEY_USED},
    {"bos_token_id", ALL, WEFT_KEY_USED},
    {"eos_token_id", ALL, WEFT_KEY_USED},
    {"torch_dtype", ALL, WEFT_KEY_USED},
    {"dtype", ALL, WEFT_KEY_USED},
    {"_name_or_path", ALL, WEFT_KEY_USED},
    {"n_layer", G | J, WEFT_KEY_USED},
    {"n_embd", G | J, WEFT_KEY_USED},
    {"n_head", G | J, WEFT_KEY_USED},
    {"n_inner", G | J, WEFT_KEY_USED},
    {"n_positions", G | J, WEFT_KEY_USED},
    {"n_ctx", G | J, WEFT_KEY_USED},
    {"activation_function", G | J, WEFT_KEY_USED},
    {"layer_norm_epsilon", G | J, WEFT_KEY_USED},
    {"scale_attn_weights", G, WEFT_KEY_USED},
    {"scale_attn_weights", J, WEFT_KEY_TRUE},
    {"mup_width_scale", G, WEFT_KEY_USED},
    {"mup_embeddings_scale", G, WEFT_KEY_USED},
    {"mup_output_alpha", G, WEFT_KEY_USED},
    {"mup_scale_qk_dot_by_d", G, WEFT_KEY_USED},
    {"rotary_dim", J, WEFT_KEY_USED},
    {"rotary", J, WEFT_KEY_TRUE},
    {"num_hidden_layers", L | B, WEFT_KEY_USED},
    {"hidden_size", L | B, WEFT_KEY_USED},
    {"num_attention_heads", L | B, WEFT_KEY_USED},
    {"intermediate_size", L | B, WEFT_KEY_USED},
    {"max_position_embeddings", L | B, WEFT_KEY_USED},
    {"hidden_act", L | B, WEFT_KEY_USED},
    {"num_key_value_heads", L, WEFT_KEY_USED},
    {"head_dim", L, WEFT_KEY_USED},
    {"rms_norm_eps", L, WEFT_KEY_USED},
    {"attention_bias", L, WEFT_KEY_USED},
    {"mlp_bias", L, WEFT_KEY_FALSE},
    {"rope_theta", L, WEFT_KEY_USED},
    {"rope_scaling", L, WEFT_KEY_USED},
    {"rope_parameters", L, WEFT_KEY_USED},
    {"layer_types", L, WEFT_KEY_USED},
    {"sliding_window", L, WEFT_KEY_USED},
    {"use_sliding_window", L, WEFT_KEY_USED},
    {"layer_norm_eps", B, WEFT_KEY_USED},
    {"type_vocab_size", B, WEFT_KEY_USED},
    // Dropout: Weft computes without.
    {"attn_pdrop", G | J, WEFT_KEY_DROPOUT},
    {"embd_pdrop", G | J, WEFT_KEY_DROPOUT},
    {"resid_pdrop", G | J, WEFT_KEY_DROPOUT},
    {"attention_dropout", L, WEFT_KEY_DROPOUT},
    {"attention_probs_dropout_prob", B, WEFT_KEY_DROPOUT},
    {"hidden_dropout_prob", B, WEFT_KEY_DROPOUT},
    // Would change what is computed: only the neutral value is right.
    {"scale_attn_by_inverse_layer_idx", G, WEFT_KEY_FALSE},
    {"add_cross_attention", ALL, WEFT_KEY_FALSE},
    {"is_encoder_decoder", ALL, WEFT_KEY_FALSE},
    {"is_decoder", ALL, WEFT_KEY_FALSE},
    {"tie_encoder_decoder", ALL, WEFT_KEY_FALSE},
    {"partial_rotary_factor", L, WEFT_KEY_ONE},
    {"position_embedding_type", B, WEFT_KEY_ABSOLUTE},
    {"quantization_config", ALL, WEFT_KEY_NULL},
    {"pruned_heads", ALL, WEFT_KEY_EMPTY},
    {"cross_attention_hidden_size", ALL, WEFT_KEY_NULL},
    // Of one way of computing the same (precision of intermediate values, parallelism, memory) or of other tasks.
    {"reorder_and_upcast_attn", G, WEFT_KEY_IGNORED},
    {"use_cache", ALL, WEFT_KEY_IGNORED},
    {"use_bfloat16", ALL, WEFT_KEY_IGNORED},
    {"pretraining_tp", L, WEFT_KEY_IGNORED},
    {"max_window_layers", L, WEFT_KEY_IGNORED},
    {"max_sequence_length", L, WEFT_KEY_IGNORED},
    {"is_llama_config", L, WEFT_KEY_IGNORED},
    {"rope_interleaved", L, WEFT_KEY_FALSE},
    {"gradient_checkpointing", ALL, WEFT_KEY_IGNORED},
    {"chunk_size_feed_forward", ALL, WEFT_KEY_IGNORED},
    {"low_cpu_mem_usage", ALL, WEFT_KEY_IGNORED},
    {"attn_implementation", ALL, WEFT_KEY_IGNORED},
    {"_attn_implementation", ALL, WEFT_KEY_IGNORED},
    {"_flash_attn_2_enabled", ALL, WEFT_KEY_IGNORED},
    {"_attn_implementation_autoset", ALL, WEFT_KEY_IGNORED},
    {"_commit_hash", ALL, WEFT_KEY_IGNORED},
    {"classifier_dropout", B, WEFT_KEY_IGNORED},
    {"pad_token_id", ALL, WEFT_KEY_IGNORED},
    {"pooler_fc_size", B, WEFT_KEY_IGNORED},
    {"pooler_num_attention_heads", B, WEFT_KEY_IGNORED},
    {"pooler_num_fc_layers", B, WEFT_KEY_IGNORED},
    {"pooler_size_per_head", B, WEFT_KEY_IGNORED},
    {"pooler_type", B, WEFT_KEY_IGNORED},
    {"directionality", B, WEFT_KEY_IGNORED},
    {"sep_token_id", ALL, WEFT_KEY_IGNORED},
    {"unk_token_id", ALL, WEFT_KEY_IGNORED},
    {"cls_token_id", ALL, WEFT_KEY_IGNORED},
    {"mask_token_id", ALL, WEFT_KEY_IGNORED},
    {"decoder_start_token_id", ALL, WEFT_KEY_IGNORED},
    {"transformers_version", ALL, WEFT_KEY_IGNORED},
    {"transformers.js_config", ALL, WEFT_KEY_IGNORED},
    {"auto_map", ALL, WEFT_KEY_IGNORED},
    {"tokenizer_class", ALL, WEFT_KEY_IGNORED},
    {"task_specific_params", ALL, WEFT_KEY_IGNORED},
    {"summary_activation", G | J, WEFT_KEY_IGNORED},
    {"summary_first_dropout", G | J, WEFT_KEY_IGNORED},
    {"summary_proj_to_labels", G | J, WEFT_KEY_IGNORED},
    {"summary_type", G | J, WEFT_KEY_IGNORED},
    {"summary_use_proj", G | J, WEFT_KEY_IGNORED},
    {"_num_labels", ALL, WEFT_KEY_IGNORED},
    {"num_labels", ALL, WEFT_KEY_IGNORED},
    {"id2label", ALL, WEFT_KEY_IGNORED},
    {"label2id", ALL, WEFT_KEY_IGNORED},
    {"problem_type", ALL, WEFT_KEY_IGNORED},
    {"finetuning_task", ALL, WEFT_KEY_IGNORED},
    {"return_dict", ALL, WEFT_KEY_IGNORED},
    {"output_hidden_states", ALL, WEFT_KEY_IGNORED},
    {"output_attentions", ALL, WEFT_KEY_IGNORED},
    {"torchscript", ALL, WEFT_KEY_IGNORED},
    {"output_past", ALL, WEFT_KEY_IGNORED},
    {"prefix", ALL, WEFT_KEY_IGNORED},
    // Of text generation, which `weft generate` has options for.
    {"max_length", ALL, WEFT_KEY_IGNORED},
    {"min_length", ALL, WEFT_KEY_IGNORED},
    {"do_sample", ALL, WEFT_KEY_IGNORED},
    {"early_stopping", ALL, WEFT_KEY_IGNORED},
    {"num_beams", ALL, WEFT_KEY_IGNORED},
    {"num_beam_groups", ALL, WEFT_KEY_IGNORED},
    {"diversity_penalty", ALL, WEFT_KEY_IGNORED},
    {"temperature", ALL, WEFT_KEY_IGNORED},
    {"top_k", ALL, WEFT_KEY_IGNORED},
    {"top_p", ALL, WEFT_KEY_IGNORED},
    {"typical_p", ALL, WEFT_KEY_IGNORED},
    {"repetition_penalty", ALL, WEFT_KEY_IGNORED},
    {"length_penalty", ALL, WEFT_KEY_IGNORED},
    {"no_repeat_ngram_size", ALL, WEFT_KEY_IGNORED},
    {"encoder_no_repeat_ngram_size", ALL, WEFT_KEY_IGNORED},
    {"bad_words_ids", ALL, WEFT_KEY_IGNORED},
    {"num_return_sequences", ALL, WEFT_KEY_IGNORED},
    {"output_scores", ALL, WEFT_KEY_IGNORED},
    {"return_dict_in_generate", ALL, WEFT_KEY_IGNORED},
    {"forced_bos_token_id", ALL, WEFT_KEY_IGNORED},
    {"forced_eos_token_id", ALL, WEFT_KEY_IGNORED},
    {"remove_invalid_values", ALL, WEFT_KEY_IGNORED},
    {"exponential_decay_length_penalty", ALL, WEFT_KEY_IGNORED},
    {"suppress_tokens", ALL, WEFT_KEY_IGNORED},
    {"begin_suppress_tokens", ALL, WEFT_KEY_IGNORED},
    {"tf_legacy_loss", ALL, WEFT_KEY_IGNORED},
};

enum { KEY_COUNT = sizeof keys / sizeof *keys };

const weft_network_key *weft_network_key_find(weft_family family, const char *name) {
  for (size_t i = 0; i < KEY_COUNT; ++i)
    if ((keys[i].families & (1u << family)) && strcmp(keys[i].name, name) == 0) return &keys[i];
  return NULL;
}

const char *weft_network_key_nearest(weft_family family, const char *name) {
  const char *names[KEY_COUNT];
  size_t count = 0;
  for (size_t i = 0; i < KEY_COUNT; ++i)
    if (keys[i].families & (1u << family)) names[count++] = keys[i].name;
  return weft_nearest(name, names, count);
}
