"""Outlines of the meter on 64 images of HAM10000, drawn by chance: docs/ham10000-masks.jpg.

    python -m docs.contact_sheet FOLDER

FOLDER holds the images. The licence and the citation are written beside the sheet.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from backend.abc.expert.pictures import pictures_in
from backend.abc.survey import contact_sheet
from backend.files import write_file
from backend.images import read_image

SHEET = Path(__file__).with_name("ham10000-masks.jpg")
COUNT, COLUMNS, SIDE = 64, 8, 96
NOTICE = """\
ham10000-masks.jpg shows 64 images of HAM10000, made smaller and with an outline drawn in.

The images: Tschandl, P., Rosendahl, C. & Kittler, H. The HAM10000 dataset, a large collection of
multi-source dermatoscopic images of common pigmented skin lesions. Sci Data 5, 180161 (2018).
ViDIR Group, Department of Dermatology, Medical University of Vienna, and C. Rosendahl.

Licence: CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/ - also for this sheet, which
is not under the licence of the rest of this repository.

In rows from the top left:
"""


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = sorted(pictures_in(options.folder).images.values())
    chosen = np.random.default_rng(options.seed).choice(len(files), COUNT, replace=False)
    drawn = [files[index] for index in sorted(chosen)]
    sheet = contact_sheet([read_image(file) for file in drawn], side=SIDE, columns=COLUMNS)
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "JPEG", quality=88, comment=NOTICE.splitlines()[0].encode())
    write_file(SHEET, stream.getvalue())
    names = "\n".join(file.stem for file in drawn)
    write_file(SHEET.with_suffix(".txt"), f"{NOTICE}\n{names}\n".encode())
    print(f"{SHEET.name}: {len(stream.getvalue()) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
