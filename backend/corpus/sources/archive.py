"""How the ISIC archive exports the metadata of a collection, in its older and newer headers."""

from backend.corpus.record import Field, TableRecord

IMAGE = ("isic_id", "image_name", "image_id", "image", "name")
AGE = ("age_approx", "age")
SITE = (
    "anatom_site_general",
    "anatom_site_general_challenge",
    "anatom_site_special",
    "anatom_site_1",
    "localization",
    "site",
)
DIAGNOSIS = (
    "diagnosis",
    "diagnosis_5",
    "diagnosis_4",
    "diagnosis_3",
    "diagnosis_2",
    "diagnosis_1",
)
TARGET = ("target", "benign_malignant", "diagnosis_1")
COLUMNS = {
    Field.IMAGE: IMAGE,
    Field.LESION: ("lesion_id",),
    Field.PATIENT: ("patient_id",),
    Field.DIAGNOSIS: DIAGNOSIS,
    Field.TARGET: TARGET,
    Field.AGE: AGE,
    Field.SEX: ("sex",),
    Field.SITE: SITE,
    Field.SKIN_TONE: ("fitzpatrick_skin_type",),
    Field.MODALITY: ("image_type",),
}


def archive_export(diagnosis: str, *paths: str, attribution: str = "") -> TableRecord:
    """The export of a collection: older ones have `diagnosis`, newer ones `diagnosis_1` to `_5`."""
    return TableRecord(
        columns=COLUMNS,
        required=("isic_id", diagnosis),
        paths=paths,
        attribution=attribution,
    )
