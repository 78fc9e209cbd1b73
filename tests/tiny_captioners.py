"""Vision-language models of some hundred thousand random weights, in the hub's own layout."""

from pathlib import Path
from typing import Any

_CORPUS = """
The mole is asymmetric in two axes, with an irregular, jagged border. Its colour is dark brown.
This is an image containing a benign lesion. Give me a description of this mole regarding its
asymmetry, border irregularity, and color. This is an image containing a malignant lesion.
A symmetric lesion with a regular, well-defined border and a uniform light brown colour.
system user assistant 0 1 2 3 4 5 6 7 8 9
""".splitlines()
_LLAMA_TEMPLATE = """{{- bos_token }}{% for message in messages %}\
<|start_header_id|>{{ message.role }}<|end_header_id|>

{% for part in message.content %}{% if part.type == 'image' %}<|image|>\
{% else %}{{ part.text }}{% endif %}{% endfor %}<|eot_id|>{% endfor %}\
{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"""
_QWEN_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'image' %}\
<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}\
<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_GEMMA_TEMPLATE = """{{ bos_token }}{% for message in messages %}\
<start_of_turn>{{ message.role }}
{% for part in message.content %}{% if part.type == 'image' %}<start_of_image>\
{% else %}{{ part.text }}{% endif %}{% endfor %}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
_INTERN_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message.role }}
{% for part in message.content %}{% if part.type == 'image' %}<IMG_CONTEXT>
{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_LLAMA_SPECIALS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|finetune_right_pad_id|>",
    "<|python_tag|>",
    "<|image|>",
)
_QWEN_SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_GEMMA_SPECIALS = ("<pad>", "<bos>", "<start_of_turn>", "<end_of_turn>")
_GEMMA_NAMED = {
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
}
_INTERN_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_INTERN_NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
_TINY_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
}
_TINY_SIGHT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
SIDE = 56
"""Of the tiles that the models see, in pixels."""


def build_tiny_llama(folder: Path, *, seed: int = 0) -> Path:
    """Save an Mllama with the parts of Llama 3.2 Vision: tiles, a global vision encoder, and a
    language model that attends across; seconds."""
    import torch
    from transformers import (
        MllamaConfig,
        MllamaForConditionalGeneration,
        MllamaImageProcessor,
        MllamaProcessor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer(_LLAMA_SPECIALS, bos=0, eos=2, pad=5)
    words = len(tokenizer) - 1  # as in the original, the image's token has no output
    config = MllamaConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 2,
            "vision_output_dim": 96,
            "intermediate_layers_indices": [0, 1],
            "image_size": SIDE,
            "patch_size": 14,
            "max_num_tiles": 4,
        },
        text_config={
            "vocab_size": words,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "cross_attention_layers": [1],
            "max_position_embeddings": 512,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    model = MllamaForConditionalGeneration(config)
    for layer in model.modules():  # its gates begin closed, and no image would be seen
        for gate in ("cross_attn_attn_gate", "cross_attn_mlp_gate"):
            if hasattr(layer, gate):
                getattr(layer, gate).data.fill_(1.0)
    processor = MllamaProcessor(
        MllamaImageProcessor(size={"height": SIDE, "width": SIDE}, max_image_tiles=4),
        tokenizer,
        chat_template=_LLAMA_TEMPLATE,
    )
    return _saved(folder, model, processor)


def build_tiny_qwen(folder: Path, *, seed: int = 0) -> Path:
    """Save a Qwen2.5-VL: patches in windows, three-axis positions; seconds."""
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer(_QWEN_SPECIALS, bos=None, eos=2, pad=0)
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in _NAMED}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 512,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [2, 3, 3],
            },
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    pixels = {"shortest_edge": SIDE**2, "longest_edge": SIDE**2}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=pixels),
        tokenizer,
        Qwen2VLVideoProcessor(size=pixels),
        chat_template=_QWEN_TEMPLATE,
    )
    return _saved(folder, Qwen2_5_VLForConditionalGeneration(config), processor)


def build_tiny_gemma(folder: Path, *, seed: int = 0) -> Path:
    """Save a Gemma 3, which MedGemma is too: SigLIP pooled to a few tokens, sliding windows."""
    import torch
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer(_GEMMA_SPECIALS, bos=1, eos=3, pad=0, named=_GEMMA_NAMED)
    config = Gemma3Config(
        text_config={
            **_TINY_TEXT,
            "vocab_size": len(tokenizer),
            "head_dim": 16,
            "sliding_window": 64,
        },
        vision_config={**_TINY_SIGHT, "image_size": SIDE, "patch_size": 14},
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}),
        tokenizer,
        chat_template=_GEMMA_TEMPLATE,
        image_seq_length=4,
    )
    return _saved(folder, Gemma3ForConditionalGeneration(config), processor)


def build_tiny_intern(folder: Path, *, seed: int = 0) -> Path:
    """Save an InternVL in transformers' layout: images in patches of their own number."""
    import torch
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    torch.manual_seed(seed)
    tokenizer = _tokenizer(_INTERN_SPECIALS, bos=None, eos=2, pad=0, named=_INTERN_NAMED)
    config = InternVLConfig(
        text_config={**_TINY_TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={**_TINY_SIGHT, "image_size": [SIDE, SIDE], "patch_size": [14, 14]},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
    )
    size = {"height": SIDE, "width": SIDE}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=3),
        tokenizer,
        InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=_INTERN_TEMPLATE,
    )
    return _saved(folder, InternVLForConditionalGeneration(config), processor)


_NAMED = ("image_pad", "video_pad", "vision_start", "vision_end")


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    import torch

    model.generation_config.do_sample = True  # as releases say; captions are greedy all the same
    model.generation_config.temperature = 0.6
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer(
    specials: tuple[str, ...],
    *,
    bos: int | None,
    eos: int,
    pad: int,
    named: dict[str, str] | None = None,
):
    """Byte-level BPE trained on a few sentences, its special tokens after its words.

    `named` are those that the processor of a model asks the tokenizer for by name.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(_CORPUS, trainer)
    trained.add_special_tokens([*specials, *(named or {}).values()])
    others = [one for at, one in enumerate(specials) if at not in (bos, eos, pad)]
    return PreTrainedTokenizerFast(
        tokenizer_object=trained,
        bos_token=None if bos is None else specials[bos],
        eos_token=specials[eos],
        pad_token=specials[pad],
        extra_special_tokens=named or others,
        padding_side="right",
        model_max_length=512,
    )
