"""What lies beside the images of an export: README.txt and manifest.json, with every licence."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backend.corpus.export_writers import CorpusRecord
from backend.corpus.licences import UNKNOWN, Terms
from backend.files import write_file
from backend.generation.provenance import TRAINED_ALGORITHMIC_MEDIA

MANIFEST = "manifest.json"
README = "README.txt"
REAL = "Real photographs of patients: keep to the licences below, and try to identify nobody."
SYNTHETIC = (
    "{count} of the images are synthetic, as the column synthetic says; their files carry the XMP\n"
    "property Iptc4xmpExt:DigitalSourceType = " + TRAINED_ALGORITHMIC_MEDIA + ".\n"
    "Keep the mark when you pass them on."
)
TEXT = """\
{count} images of skin lesions, gathered by DermaFlux Studio on {day}.

{origin}
Not for diagnosis.

Which images
  {choice}{absent}

Layout
  {layout}
  manifest.json says the same as this file for programs.

The images are standard copies: decoded, brought to one scale, without EXIF or any identity.
Label is benign or malignant by the rule of each dataset; diagnosis_given is the dataset's own word.
Width and height are those of the original. Split by patient, then lesion, never by image.

Datasets, licences and citations
{datasets}
"""


@dataclass
class CorpusTally:
    """Counts what passes by on its way into an export."""

    images: int = 0
    synthetic: int = 0
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)

    def counted(self, records: Iterable[CorpusRecord]) -> Iterator[CorpusRecord]:
        """The same records, counted as they are taken."""
        for record in records:
            yield record
            self.images += 1
            self.synthetic += record.image.synthetic
            self.labels[record.image.dataset, record.image.label.value] += 1


def write_card(
    folder: Path,
    tally: CorpusTally,
    terms: Mapping[str, Terms],
    *,
    choice: str,
    layout: str,
    form: str,
    absent: int,
) -> None:
    """Write README.txt and manifest.json; `absent` members are no longer in the catalogue.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    moment = datetime.now(UTC)
    datasets = [_dataset(name, tally, terms) for name in sorted({key for key, _ in tally.labels})]
    manifest = {
        "made_by": "DermaFlux Studio",
        "made_at": moment.isoformat(timespec="seconds"),
        "notice": "Not for diagnosis.",
        "format": form,
        "choice": choice,
        "images": tally.images,
        "synthetic_images": tally.synthetic,
        "absent_images": absent,
        "datasets": datasets,
    }
    if tally.synthetic:
        manifest["digital_source_type_of_synthetic_images"] = TRAINED_ALGORITHMIC_MEDIA
    text = TEXT.format(
        count=f"{tally.images:,}",
        day=moment.date().isoformat(),
        origin=_origin(tally),
        choice=choice,
        absent=f"\n  {absent:,} of them are no longer in the catalogue and are left out."
        if absent
        else "",
        layout=layout,
        datasets="\n".join(map(_paragraph, datasets)),
    )
    write_file(folder / README, text.encode())
    write_file(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2).encode())


def _origin(tally: CorpusTally) -> str:
    real = REAL if tally.synthetic < tally.images else ""
    synthetic = SYNTHETIC.format(count=f"{tally.synthetic:,}") if tally.synthetic else ""
    return "\n".join(filter(None, (real, synthetic)))


def _dataset(name: str, tally: CorpusTally, terms: Mapping[str, Terms]) -> dict[str, object]:
    found = terms.get(name, Terms(name, UNKNOWN, ""))
    labels = {label: count for (key, label), count in sorted(tally.labels.items()) if key == name}
    return {
        "name": name,
        "title": found.title,
        "images": sum(labels.values()),
        "labels": labels,
        "licence": found.licence,
        "citation": found.citation,
    }


def _paragraph(dataset: Mapping[str, object]) -> str:
    cite = f"\n    Cite: {dataset['citation']}" if dataset["citation"] else ""
    return (
        f"  {dataset['title']}: {dataset['images']} images\n    Licence: {dataset['licence']}{cite}"
    )
