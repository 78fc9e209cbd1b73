"""Tokenizers and text encoders: trained to read out of a caption what it states.

A FLUX model takes a T5 sequence and a pooled CLIP vector. Both small encoders learn here, before
the flow sees them, to name every attribute of a caption; their heads are thrown away.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel
from transformers import T5Tokenizer as T5TokenizerFast

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
)
from backend.abc.sampling import sample_split
from training.starter.captions import caption_generator, training_caption
from training.starter.checkpoints import load_checkpoint, save_checkpoint
from training.starter.config import CLIP_LENGTH, RunFolder, StarterConfig
from training.starter.precision import mixed_precision
from training.starter.progress import log_event

STREAM_TOKENIZERS, STREAM_TEXT, STREAM_CHECK = 1, 2, 3
_CLASSES: dict[str, list[object]] = {
    "asymmetry": list(Asymmetry),
    "border": list(Border),
    "edge": list(Edge),
    "pattern": list(ColourPattern),
    "label": list(Label),
    "diagnosis": list(Diagnosis),
    "modality": list(Modality),
    "skin_tone": list(SkinTone),
    "site": list(Site),
    "dominant_colour": list(Colour),
}
_SIZES = {field: len(values) + 1 for field, values in _CLASSES.items()}
_DIAMETER_SCALE_MM = 12.0


@dataclass(frozen=True)
class Tokens:
    """Token numbers of captions: T5's (B, L) and CLIP's (B, 77)."""

    t5: Tensor
    clip: Tensor


@dataclass(frozen=True)
class TextEncoders:
    """What turns captions into `encoder_hidden_states` and `pooled_projections`."""

    clip_tokenizer: CLIPTokenizer
    clip: CLIPTextModel
    t5_tokenizer: T5TokenizerFast
    t5: T5EncoderModel
    t5_length: int

    @property
    def device(self) -> torch.device:
        return self.t5.device

    def to(self, device: torch.device) -> None:
        """Move both encoders."""
        self.clip.to(device)
        self.t5.to(device)

    def tokens(self, captions: list[str]) -> Tokens:
        """Padded and cut off as `FluxPipeline` does."""
        return Tokens(
            _token_ids(self.t5_tokenizer, captions, self.t5_length),
            _token_ids(self.clip_tokenizer, captions, CLIP_LENGTH),
        )

    def encode(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """T5 states (B, L, D) and pooled CLIP vectors (B, D), exactly as `FluxPipeline` does."""
        states: Tensor = self.t5(tokens.t5.to(self.device, non_blocking=True))[0]
        pooled: Tensor = self.clip(tokens.clip.to(self.device, non_blocking=True)).pooler_output
        return states, pooled


class AttributeHeads(nn.Module):
    """Linear readers of every attribute from one vector (B, D)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classes = nn.ModuleDict({name: nn.Linear(width, n) for name, n in _SIZES.items()})
        self.colours = nn.Linear(width, len(Colour))
        self.diameter = nn.Linear(width, 1)

    def loss(self, vector: Tensor, stated: list[LesionAttributes]) -> Tensor:
        """Cross-entropy a field, binary cross-entropy a colour, squared error of the diameter."""
        terms = [
            F.cross_entropy(head(vector), _class_targets(name, stated))
            for name, head in self.classes.items()
        ]
        terms.append(3 * F.binary_cross_entropy_with_logits(self.colours(vector), _colours(stated)))
        known = torch.tensor([a.diameter_mm is not None for a in stated])
        wanted = torch.tensor([a.diameter_mm or 0.0 for a in stated]) / _DIAMETER_SCALE_MM
        miss = (self.diameter(vector).squeeze(1) - wanted).square() * known
        return torch.stack(terms).sum() + miss.mean()

    @torch.no_grad()
    def accuracy(self, vector: Tensor, stated: list[LesionAttributes]) -> float:
        """Share of attribute fields, colours as one field, that are read exactly."""
        right = [
            (head(vector).argmax(1) == _class_targets(name, stated)).float().mean()
            for name, head in self.classes.items()
        ]
        colours = ((self.colours(vector) > 0) == _colours(stated).bool()).all(1).float().mean()
        return float(torch.stack([*right, colours]).mean())


class _Heads(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.t5 = AttributeHeads(width)
        self.clip = AttributeHeads(width)


def train_text_encoders(config: StarterConfig, run: RunFolder) -> TextEncoders:
    """Train, or take up, tokenizers and encoders; returns them frozen in evaluation mode."""
    encoders = _make_encoders(config, run)
    heads = _Heads(config.text_width)
    modules: dict[str, nn.Module] = {"t5": encoders.t5, "clip": encoders.clip, "heads": heads}
    parameters = [p for module in modules.values() for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
    optimizers = {"optimizer": optimizer}
    identity = {"seed": config.seed, "width": config.text_width, "steps": config.text_steps,
                "vocabulary": config.vocabulary, "length": config.t5_length}  # fmt: skip
    step = load_checkpoint(run.text, identity=identity, modules=modules, optimizers=optimizers)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: _warmup_cosine(at + step, config.text_steps)
    )
    while step < config.text_steps:
        captions, stated = _batch(config, STREAM_TEXT, step)
        with mixed_precision():
            states, pooled = encoders.encode(encoders.tokens(captions))
        loss = heads.t5.loss(states.float().mean(1), stated)
        loss = loss + heads.clip.loss(pooled.float(), stated)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        step += 1
        if step % config.checkpoint_every == 0 or step == config.text_steps:
            save_checkpoint(
                run.text, step=step, identity=identity, modules=modules, optimizers=optimizers
            )
            _log_accuracy(config, run, encoders, heads, step, float(loss.detach()))
    for module in modules.values():
        module.requires_grad_(requires_grad=False).eval()
    return encoders


def train_tokenizers(
    config: StarterConfig, run: RunFolder
) -> tuple[CLIPTokenizer, T5TokenizerFast]:
    """A byte-level BPE in CLIP's form and a unigram model in T5's, from our captions.

    Made once a run and read back from its folder, so that token numbers never shift.
    """
    if not (run.t5_tokenizer / "tokenizer_config.json").exists():
        captions = [c for step in range(300) for c in _batch(config, STREAM_TOKENIZERS, step)[0]]
        _clip_tokenizer(captions, config.vocabulary).save_pretrained(run.clip_tokenizer)
        _t5_tokenizer(captions, config.vocabulary).save_pretrained(run.t5_tokenizer)
    return (
        CLIPTokenizer.from_pretrained(run.clip_tokenizer, local_files_only=True),
        T5TokenizerFast.from_pretrained(run.t5_tokenizer, local_files_only=True),
    )


def _clip_tokenizer(captions: list[str], vocabulary: int) -> CLIPTokenizer:
    form = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = form.normalizer
    learner.pre_tokenizer = form.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    vocab, merges = _bpe_tables(learner)
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CLIP_LENGTH)


def _bpe_tables(learner: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def _t5_tokenizer(captions: list[str], vocabulary: int) -> T5TokenizerFast:
    """Whole words with their log frequency, and every single character as the way out."""
    words = Counter(
        f"▁{piece.strip()}" if piece[0].isspace() else piece
        for caption in captions
        for piece in re.findall(r"\s?[^\W\d]+|[^\w\s]", f" {caption}")
    )
    kept = [(word, count) for word, count in words.most_common(vocabulary) if count > 1]
    total = sum(count for _, count in kept)
    scored = {word: math.log(count / total) for word, count in kept}
    letters = [*map(chr, range(33, 127)), "▁"]
    floor = min(scored.values()) - 2.0
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", floor - 2.0), *scored.items()]
    pieces += [(letter, floor) for letter in letters if letter not in scored]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


def _make_encoders(config: StarterConfig, run: RunFolder) -> TextEncoders:
    clip_tokenizer, t5_tokenizer = train_tokenizers(config, run)
    torch.manual_seed(config.seed)
    clip = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(clip_tokenizer),
            hidden_size=config.text_width,
            intermediate_size=4 * config.text_width,
            projection_dim=config.text_width,
            num_hidden_layers=config.text_layers,
            num_attention_heads=4,
            max_position_embeddings=CLIP_LENGTH,
            bos_token_id=clip_tokenizer.bos_token_id,
            eos_token_id=clip_tokenizer.eos_token_id,
            pad_token_id=clip_tokenizer.pad_token_id,
        )
    )
    t5 = T5EncoderModel(
        T5Config(
            vocab_size=len(t5_tokenizer),
            d_model=config.text_width,
            d_kv=config.text_width // 4,
            d_ff=4 * config.text_width,
            num_layers=config.text_layers,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            pad_token_id=t5_tokenizer.pad_token_id,
            eos_token_id=t5_tokenizer.eos_token_id,
        )
    )
    return TextEncoders(clip_tokenizer, clip, t5_tokenizer, t5, config.t5_length)


def _token_ids(
    tokenizer: CLIPTokenizer | T5TokenizerFast, captions: list[str], length: int
) -> Tensor:
    ids: Tensor = tokenizer(
        captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return ids


def _batch(
    config: StarterConfig, stream: int, step: int
) -> tuple[list[str], list[LesionAttributes]]:
    rng = caption_generator(config.seed, stream, step)
    pairs = list(_pairs(rng, config.text_batch))
    return [caption for caption, _ in pairs], [stated for _, stated in pairs]


def _pairs(rng: np.random.Generator, count: int) -> Iterator[tuple[str, LesionAttributes]]:
    for _ in range(count):
        yield training_caption(sample_split(rng, held_out=False), rng)


def _class_targets(field: str, stated: list[LesionAttributes]) -> Tensor:
    values = _CLASSES[field]
    said = [getattr(attributes, field) for attributes in stated]
    return torch.tensor([0 if value is None else 1 + values.index(value) for value in said])


def _colours(stated: list[LesionAttributes]) -> Tensor:
    return torch.tensor([[float(c in a.colours) for c in Colour] for a in stated])


def _warmup_cosine(step: int, steps: int, warmup: int = 100) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / steps))))


@torch.no_grad()
def _log_accuracy(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    heads: _Heads,
    step: int,
    loss: float,
) -> None:
    captions, stated = _batch(config, STREAM_CHECK, step)
    states, pooled = encoders.encode(encoders.tokens(captions))
    log_event(
        run.log,
        "text",
        step=step,
        loss=loss,
        t5_accuracy=heads.t5.accuracy(states.mean(1), stated),
        clip_accuracy=heads.clip.accuracy(pooled, stated),
    )
