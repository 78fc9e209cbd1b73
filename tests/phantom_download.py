"""A download in the layout of HAM10000 whose pictures are phantoms, with rows that go wrong."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from backend.abc.attributes import Diagnosis
from backend.abc.sampling import sample_attributes
from backend.phantom import render

CODES = {
    Diagnosis.MELANOMA: "mel",
    Diagnosis.BASAL_CELL_CARCINOMA: "bcc",
    Diagnosis.SQUAMOUS_CELL_CARCINOMA: "akiec",
    Diagnosis.NEVUS: "nv",
    Diagnosis.DERMATOFIBROMA: "df",
    Diagnosis.VASCULAR_LESION: "vasc",
}
SITES = ("back", "face", "hand", "unknown", "lower extremity")
LEFT_OUT = {"broken": 1, "image_without_row": 1, "row_without_image": 1}
"""What an import of any such download leaves out, by reason."""


def write_download(
    folder: Path, count: int, *, side: int = 96, first: int = 0, twin: bool = False
) -> Path:
    """So many phantoms with their rows; one file is broken, one has no row, one row no file.

    A twin is one phantom more: the mirror image of the first, as another patient's.
    """
    images = folder / "images"
    images.mkdir(parents=True)
    lines = ["file,image_id,lesion_id,dx,age,sex,localization"]
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        lesion = sample_attributes(rng)
        name = f"PHANTOM_{number:04d}"
        Image.fromarray(render(lesion, size=side, seed=number).image).save(images / f"{name}.png")
        code = CODES.get(lesion.diagnosis, "bkl") if lesion.diagnosis else "bkl"
        age, sex = int(rng.integers(20, 90)), ("male", "female")[number % 2]
        site = SITES[number % len(SITES)]
        lines.append(f"images/{name}.png,{name},LESION_{number // 2},{code},{age}.0,{sex},{site}")
    if twin:
        with Image.open(images / f"PHANTOM_{first:04d}.png") as picture:
            ImageOps.mirror(picture).save(images / "TWIN.png")
        lines.append("images/TWIN.png,TWIN,LESION_T,nv,50.0,male,back")
    lines.append("images/BROKEN.png,BROKEN,LESION_B,nv,50.0,male,back")
    lines.append("images/ABSENT.png,ABSENT,LESION_A,nv,50.0,male,back")
    (images / "BROKEN.png").write_bytes(b"no picture")
    (images / "STRAY.png").write_bytes((images / f"PHANTOM_{first:04d}.png").read_bytes())
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder
