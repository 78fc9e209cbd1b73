"""Datasets outside the paper that users have, labelled by the same kind of record."""

from backend.corpus.labels import LabelRule
from backend.corpus.record import Counts, Field, Source, TableRecord
from backend.corpus.sources.archive import AGE, COLUMNS, archive_export
from backend.corpus.sources.paper import ISIC2019

HAM10000 = Source(
    key="ham10000",
    title="HAM10000",
    rule=LabelRule(
        malignant=ISIC2019.rule.malignant,
        benign=(
            *ISIC2019.rule.benign,
            *("seborrheic_keratosis", "solar_lentigo", "lichenoid_keratosis"),
        ),
    ),
    side=512,
    licence="CC-BY-NC-4.0",
    citation="Tschandl et al., Sci. Data 5:180161 (2018)",
    layout="HAM10000_images_part_{1,2}/ISIC_*.jpg, HAM10000_metadata(.csv or .tab); or labels.csv "
    "with file,image_id,lesion_id,dx,age,sex,localization beside images/",
    tables=(
        TableRecord(
            columns={
                **COLUMNS,
                Field.IMAGE: ("image_id", "image", "isic_id", "file"),
                Field.DIAGNOSIS: ("dx", "diagnosis"),
                Field.AGE: AGE,
                Field.SITE: ("localization",),
            },
            required=("image_id", "dx"),
            telling=("image_id", "dx"),
        ),
        archive_export("diagnosis", "*ham10000*", attribution="ViDIR"),
        archive_export("diagnosis_1", "*ham10000*", attribution="ViDIR"),
    ),
    modality="dermoscopic",
    ignored=("*segmentation*", "*_mask*"),
    published=Counts(8_061, 1_954, "Tschandl et al. 2018, Table 3, by the rule of ISIC 2019"),
    test_apart=True,  # the download also holds the ground truth of the test set of ISIC 2018
)
PH2 = Source(
    key="ph2",
    title="PH2",
    rule=LabelRule(malignant=("melanoma", "2"), benign=("nevus", "0", "1")),
    side=512,
    licence="For research and education, as stated by the authors",
    citation="Mendonca et al., EMBC 2013",
    layout="PH2 Dataset images/IMD*/IMD*_Dermoscopic_Image/IMD*.bmp, PH2_dataset.txt",
    tables=(
        TableRecord(
            columns={
                Field.IMAGE: ("Name", "Image Name", "image_id"),
                Field.DIAGNOSIS: ("Clinical Diagnosis", "diagnosis", "dx"),
            },
            required=("Name", "Clinical Diagnosis"),
            telling=("Name", "Clinical Diagnosis", "Pigment Network"),
        ),
        TableRecord(
            columns={Field.IMAGE: ("Image Name",)},
            required=("Image Name", "Common Nevus", "Atypical Nevus", "Melanoma"),
            telling=("Image Name", "Common Nevus", "Atypical Nevus"),
            one_hot=("Common Nevus", "Atypical Nevus", "Melanoma"),
        ),
    ),
    modality="dermoscopic",
    ignored=("*_lesion/*", "*_roi/*"),
    published=Counts(160, 40, "Mendonca et al. 2013"),
)
DERM7PT = Source(
    key="derm7pt",
    title="Derm7pt",
    rule=LabelRule(
        malignant=("melanoma", "basal_cell_carcinoma"),
        benign=(
            *("nevus", "seborrheic_keratosis", "dermatofibroma", "vascular_lesion", "lentigo"),
            *("melanosis", "miscellaneous"),
        ),
    ),
    side=512,
    licence="CC-BY-NC-SA-4.0",
    citation="Kawahara et al., IEEE JBHI 23:538 (2019)",
    layout="images/<group>/*.jpg, meta/meta.csv: one case, a clinical and a dermoscopic image",
    tables=(
        TableRecord(
            columns={
                Field.LESION: ("case_num",),
                Field.PATIENT: ("case_id", "case_num"),
                Field.DIAGNOSIS: ("diagnosis",),
                Field.SEX: ("sex",),
                Field.SITE: ("location",),
            },
            required=("case_num", "diagnosis", "derm", "clinic"),
            telling=("case_num", "derm", "clinic"),
            image_columns={"derm": "dermoscopic", "clinic": "clinical"},
        ),
    ),
)
FITZPATRICK17K = Source(
    key="fitzpatrick17k",
    title="Fitzpatrick17k",
    rule=LabelRule(by_target=True),
    side=512,
    licence="CC-BY-NC-SA-3.0",
    citation="Groh et al., CVPR Workshops 2021",
    layout="<md5hash>.jpg, fitzpatrick17k.csv; non-neoplastic images are dropped",
    tables=(
        TableRecord(
            columns={
                Field.IMAGE: ("md5hash",),
                Field.DIAGNOSIS: ("label",),
                Field.TARGET: ("three_partition_label",),
                Field.SKIN_TONE: ("fitzpatrick_scale", "fitzpatrick"),
            },
            required=("md5hash", "three_partition_label"),
            telling=("md5hash", "three_partition_label"),
        ),
    ),
    modality="clinical",
)

OTHERS = (HAM10000, PH2, DERM7PT, FITZPATRICK17K)
