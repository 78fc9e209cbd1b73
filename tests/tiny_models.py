"""Complete pipelines of some hundred thousand random weights, in the hub's own layout."""

import json
from pathlib import Path

TINY_CARD = {
    "title": "Tiny FLUX",
    "sizes": [64, 128],
    "steps": 4,
    "guidance_scale": 3.5,
    "max_sequence_length": 32,
    "licence": "Apache-2.0",
    "description": "Random weights, for tests.",
}
TINY_SD_CARD = {
    "title": "Tiny Stable Diffusion",
    "sizes": [64, 128],
    "steps": 4,
    "guidance_scale": 7.5,
    "max_sequence_length": 77,
    "licence": "Apache-2.0",
    "description": "Random weights, for tests.",
}
TINY_CLASSIFIER = {
    "width": 8,
    "image_size": 64,
    "strengths": {
        "asymmetry": 200.0, "border": 300.0, "edge": 0.0, "skin_tone": 100.0, "colours": 50.0
    },
    "temperature": 2.0,
    "highest_sigma": 0.9,
}  # fmt: skip
_SD_NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}
_SD_SAMPLERS = {"PNDM": {"skip_prk_steps": True}, "DDIM": {"clip_sample": False}}
_CORPUS = """
This photo depicts a malignant lesion. Here's a description of the mole: the shape is asymmetric
in two axes, the border is irregular and notched, and the colour is variegated.
A symmetric benign lesion with a regular, well-defined border and a uniform light brown colour on
the back, dermoscopic image, Fitzpatrick skin type III, 5.2 mm in diameter.
black blue-gray white red dark brown 0 1 2 3 4 5 6 7 8 9 I II III IV V VI
""".splitlines()


def build_tiny_flux(folder: Path, *, seed: int = 0) -> Path:
    """Save a FluxPipeline with the shapes of FLUX.1-dev's layout, every width tiny; seconds.

    The image side stays 8 x downsampled with 16 latent channels, as in FLUX.1.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    torch.manual_seed(seed)
    tokenizer, tokenizer_2 = _clip_tokenizer(), _t5_tokenizer()
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
        ),
        vae=_vae(),
        text_encoder=_clip_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=_t5_encoder(len(tokenizer_2)),
        tokenizer_2=tokenizer_2,
        transformer=_transformer(),
    )
    pipeline.to(torch.bfloat16).save_pretrained(folder, safe_serialization=True)
    (folder / "dermaflux.json").write_text(json.dumps(TINY_CARD), encoding="utf-8")
    return folder


def add_tiny_classifier(model: Path, *, seed: int = 0) -> Path:
    """Give a model a classifier of 64 x 64 images with random weights; returns its folder."""
    import torch
    from safetensors.torch import save_file

    from backend.generation.attribute_guidance.classifier import NoisyClassifier

    torch.manual_seed(seed)
    folder = model / "attribute_classifier"
    folder.mkdir()
    save_file(NoisyClassifier(8, 64).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(TINY_CLASSIFIER), encoding="utf-8")
    return folder


def build_tiny_stable_diffusion(folder: Path, *, seed: int = 0, scheduler: str = "PNDM") -> Path:
    """Save a StableDiffusionPipeline with the shapes of 1.x's layout, every width tiny; seconds.

    As in 1.x the image is 8 x downsampled with 4 latent channels, and CLIP is all that reads.
    """
    import diffusers
    import torch

    torch.manual_seed(seed)
    tokenizer = _clip_tokenizer()
    pipeline = diffusers.StableDiffusionPipeline(
        scheduler=getattr(diffusers, f"{scheduler}Scheduler")(
            **_SD_NOISE, **_SD_SAMPLERS.get(scheduler, {})
        ),
        vae=_vae(latent_channels=4, scaling_factor=0.18215, shift_factor=None, quantised=True),
        text_encoder=_clip_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        unet=_unet(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    (folder / "dermaflux.json").write_text(json.dumps(TINY_SD_CARD), encoding="utf-8")
    return folder


def _unet():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=32,
    )


def _transformer():
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )


def _vae(
    latent_channels: int = 16,
    scaling_factor: float = 0.3611,
    shift_factor: float | None = 0.1159,
    quantised: bool = False,
):
    """FLUX's autoencoder, unless told otherwise; 1.x has convolutions around its latents."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=latent_channels,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
        scaling_factor=scaling_factor,
        shift_factor=shift_factor,
    )


def _clip_encoder(vocabulary: int):
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def _t5_encoder(vocabulary: int):
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=1,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )


def _clip_tokenizer():
    """CLIP's byte-level BPE with its own rules, trained on a few sentences."""
    from tokenizers import Tokenizer, models, trainers
    from transformers import CLIPTokenizer

    start, end = "<|startoftext|>", "<|endoftext|>"
    rules = CLIPTokenizer()._tokenizer
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    trained.normalizer, trained.pre_tokenizer = rules.normalizer, rules.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=_byte_alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    trained.train_from_iterator(_CORPUS, trainer)
    saved = json.loads(trained.to_str())["model"]
    words = list(saved["vocab"])
    words += [f"{word}</w>" for word in _byte_alphabet() if f"{word}</w>" not in saved["vocab"]]
    vocabulary = {word: index for index, word in enumerate([*words, start, end])}
    merges = [tuple(pair) for pair in saved["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def _byte_alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _t5_tokenizer():
    """T5's unigram model, its pieces trained on a few sentences."""
    from tokenizers import Tokenizer, models, trainers
    from transformers import T5TokenizerFast

    rules = T5TokenizerFast()._tokenizer
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = rules.pre_tokenizer
    specials = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    trained.train_from_iterator(_CORPUS, trainer)
    pieces = [tuple(piece) for piece in json.loads(trained.to_str())["model"]["vocab"]]
    return T5TokenizerFast(vocab=pieces, model_max_length=512, extra_ids=0)
