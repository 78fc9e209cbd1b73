"""What images made by a LoRA of real ones add to real ones: classifiers on mixtures of both.

    python -m benchmarks.mixtures --work FOLDER --name NAME [--real 400] [--seeds 5] [--json]

FOLDER and NAME are those of `python -m benchmarks.lora`. Its LoRA makes the synthetic images, from
the captions of images that it learnt from, label by label, and of none that is held out. Real
images are those learnt from, test images those held out; no lesion is on both sides. A small
network (EfficientNet-Lite0 with the ImageNet weights of assets/features, 64 px) is trained on real
images alone, on real and synthetic ones 1:0.5, 1:1 and 1:2, and on as many synthetic ones alone,
half of each benign, with every seed. Printed: the figures of `evaluate predictions` with their
intervals and paired tests. What is there already is not made again.
"""

import argparse
import json
from itertools import cycle, islice
from pathlib import Path

import yaml
from sqlalchemy import update

from backend.abc.attributes import Label
from backend.files import write_file
from backend.generation.request import LoraUse
from backend.settings import Settings
from backend.store.database import open_database
from backend.store.tables import CorpusImage
from benchmarks.lora_data import DATASET, Item, Split, child, get_split, own_settings
from benchmarks.lora_images import generate

RATIOS = (0, 0.5, 1, 2)
GENERATOR = "starter + LoRA"
FIRST_SEEDS = {Label.BENIGN: 200_000, Label.MALIGNANT: 300_000}
TRAIN, TEST = "train", "test"


def main() -> None:
    """Do what is not done yet, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="that of benchmarks.lora")
    parser.add_argument("--name", default="lora", help="of the training")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--real", type=int, default=400, help="real images of a training set")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    settings, own = own_settings(asked.work), asked.work / asked.name
    split = get_split(settings, asked.work, None, train=0, images=0, seed=0)
    name_sides(settings, split)
    shelf_name = str(json.loads((own / "lora.json").read_bytes())["shelf"])
    count = round(asked.real * max(RATIOS))
    for label, items in by_label(split.pairs).items():
        captions = list(islice(cycle(item.caption for item in items), count // 2))
        folder = own / "synthetic" / label
        first_seed = FIRST_SEEDS[label]
        use = LoraUse(name=shelf_name)
        generate(settings, folder, captions, model=asked.model, lora=use, first_seed=first_seed)
    file = own / "mixtures.yaml"
    grid = grid_of(own / "synthetic", asked.real, asked.seeds)
    write_file(file, yaml.safe_dump(grid, sort_keys=False).encode())
    told = json.loads(child(settings, "backend", "evaluate", "grid", file, "--json"))
    predictions = Path(told["folder"]) / "predictions.parquet"
    words = ("backend", "evaluate", "predictions", predictions)
    print(child(settings, *words, *(["--json"] if asked.json else [])))


def by_label(items: tuple[Item, ...]) -> dict[Label, list[Item]]:
    """Images of each label, in their order."""
    return {label: [item for item in items if item.label == label] for label in Label}


def name_sides(settings: Settings, split: Split) -> None:
    """Say in the catalogue of the work folder which images were learnt from and which held out."""
    database = open_database(settings)
    try:
        with database.session() as session:
            for name, items in ((TRAIN, split.pairs), (TEST, split.held_out)):
                ids = [item.image_id for item in items]
                session.execute(
                    update(CorpusImage).where(CorpusImage.id.in_(ids)).values(split=name)
                )
    finally:
        database.close()


def grid_of(synthetic: Path, real: int, seeds: int) -> dict[str, object]:
    """The experiment as its file declares it."""
    return {
        "name": "Real and synthetic HAM10000",
        "real": f"dataset:{DATASET}/{TRAIN}",
        "test": f"dataset:{DATASET}/{TEST}",
        "validation": 0.1,
        "generators": {GENERATOR: f"folder:{synthetic.absolute()}"},
        "architectures": [
            {"name": "EfficientNet-Lite0", "architecture": "tf_efficientnet_lite0"},
        ],
        "scenarios": [
            {
                "name": "mixtures",
                "shows": ["figure-4"],
                "real": [real],
                "ratios": list(RATIOS),
                "synthetic_only": [real],
            }
        ],
        "seeds": list(range(seeds)),
    }


if __name__ == "__main__":
    main()
