"""What lies beside the images in every export: README.txt and manifest.json, with the mark."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backend.files import write_file
from backend.generation.export.records import ExportRecord
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA

MANIFEST = "manifest.json"
README = "README.txt"
CAPTIONS = (
    "A caption, and the attributes without a prefix, say what the model was asked to show; what "
    "was found in the pixels is in the attributes that begin with measured_. Neither was written "
    "or checked by a physician."
)
NO_LICENCE = "not known: the model is no longer in the studio that made this export"
TEXT = """\
{count} synthetic images of skin lesions, made by DermaFlux Studio on {day}.

Synthetic. No patient is shown. Every image was computed by a model from its caption.
Not for diagnosis.

Layout
  {layout}
  manifest.json says the same as this file for programs.

Models
{models}

Licences
  The images come under the terms of the models that made them, named above: read those terms
  before you pass the images on or use them commercially. The studio claims no rights in them.

Captions
  {captions}

The mark
  {mark}
  Keep it when you pass the images on.
"""
PNG_MARK = (
    'Every PNG carries its request (text key "dermaflux") and the XMP property\n'
    f"  Iptc4xmpExt:DigitalSourceType = {TRAINED_ALGORITHMIC_MEDIA}"
)
DICOM_MARK = "Every file carries the DICOM attribute Synthetic Data (0008,001C) = YES."


@dataclass
class Tally:
    """Counts what passes by on its way into an export."""

    images: int = 0
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    loras: Counter[str] = field(default_factory=Counter)

    def counted(self, records: Iterable[ExportRecord]) -> Iterator[ExportRecord]:
        """The same records, counted as they are taken."""
        for record in records:
            yield record
            self.images += 1
            self.models[record.image.model, record.provenance.model_hash] += 1
            self.labels[record.image.requested.label or "not stated"] += 1
            self.loras.update(str(lora) for lora in record.provenance.loras)


def write_accompaniment(
    folder: Path, tally: Tally, licences: Mapping[str, str], *, layout: str, form: str
) -> None:
    """Write README.txt and manifest.json; `licences` goes from model names to licences.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    moment = datetime.now(UTC)
    models = [
        {
            "name": name,
            "sha256": digest,
            "licence": licences.get(name, NO_LICENCE),
            "images": count,
        }
        for (name, digest), count in sorted(tally.models.items())
    ]
    manifest = {
        "synthetic": True,
        "notice": "Synthetic. Not for diagnosis.",
        "digital_source_type": TRAINED_ALGORITHMIC_MEDIA,
        "made_by": "DermaFlux Studio",
        "made_at": moment.isoformat(timespec="seconds"),
        "format": form,
        "images": tally.images,
        "labels": dict(sorted(tally.labels.items())),
        "models": models,
        "loras": dict(sorted(tally.loras.items())),
        "captions": CAPTIONS,
    }
    text = TEXT.format(
        count=f"{tally.images:,}",
        day=moment.date().isoformat(),
        layout=layout,
        models="\n".join(
            f"  {model['name']} ({model['images']:,}): {model['licence']}\n"
            f"    SHA-256 of its tensors {model['sha256']}"
            for model in models
        ),
        captions=CAPTIONS,
        mark=DICOM_MARK if form == "dicom" else PNG_MARK,
    )
    write_file(folder / README, text.encode())
    write_file(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2).encode())
