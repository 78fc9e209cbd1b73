"""Collections without a name: class folders, a table with images, and synthetic sets."""

from dataclasses import replace

from backend.corpus.labels import LabelRule
from backend.corpus.record import Field, Source, TableRecord
from backend.corpus.sources.archive import COLUMNS

RULE = LabelRule(
    malignant=(
        *("melanoma", "basal_cell_carcinoma", "squamous_cell_carcinoma", "other_malignant"),
        "malignant",
    ),
    benign=(
        *("nevus", "seborrheic_keratosis", "benign_keratosis", "solar_lentigo", "lentigo"),
        *("lichenoid_keratosis", "dermatofibroma", "vascular_lesion", "other_benign", "benign"),
    ),
    dropped=("actinic_keratosis",),
    by_target=True,
)
OWN = "Yours: what its owner allows"
FOLDER = Source(
    key="folder",
    title="Image folder",
    rule=RULE,
    side=512,
    licence=OWN,
    citation="",
    layout="<any>/<class>/*.jpg: the folder of an image is its class",
    folders=None,
)
TABLE = Source(
    key="table",
    title="Images with a table",
    rule=RULE,
    side=512,
    licence=OWN,
    citation="",
    layout="one CSV or Parquet table, with its images anywhere below the same folder",
    tables=(
        TableRecord(
            columns={
                **COLUMNS,
                Field.IMAGE: (
                    *("file_name", "filename", "file", "image_id", "isic_id", "image_name"),
                    *("image", "img_id", "path", "filepath"),
                ),
                Field.DIAGNOSIS: (*COLUMNS[Field.DIAGNOSIS], "dx", "diagnostic", "disease"),
                Field.TARGET: ("label", "target", "benign_malignant", "malignant", "malignancy"),
                Field.SEX: ("sex", "gender"),
                Field.SKIN_TONE: ("skin_tone", "fitzpatrick", "fitzpatrick_skin_type"),
                Field.MODALITY: ("modality", "image_type"),
                Field.SPLIT: ("split",),
            },
            required=(),
        ),
    ),
)
DERM_T2IM = replace(
    FOLDER,
    key="derm_t2im",
    title="Derm-T2IM (synthetic)",
    licence="As stated by its authors",
    citation="Farooq et al., Derm-T2IM (2024)",
    layout="{benign,malignant}/*.png",
    folders=("benign", "malignant"),
    synthetic=True,
)
DERMAFLUX_SYNTHETIC = replace(
    DERM_T2IM,
    key="dermaflux_synthetic",
    title="DermaFlux (synthetic)",
    citation="DermaFlux (arXiv 2603.16392)",
)

GENERIC = (FOLDER, TABLE, DERM_T2IM, DERMAFLUX_SYNTHETIC)
