"""The eleven datasets of the paper, with the rules that reproduce its Table 1."""

from backend.corpus.labels import LabelRule
from backend.corpus.record import Counts, Field, Source, TableRecord
from backend.corpus.sources.archive import AGE, COLUMNS, SITE, archive_export

TABLE_1 = "DermaFlux (arXiv 2603.16392), Table 1"
CC0 = "CC0-1.0"
CC_BY = "CC-BY-4.0"
CC_BY_NC = "CC-BY-NC-4.0"
CARCINOMAS = ("basal_cell_carcinoma", "squamous_cell_carcinoma")
TRAIN_TEST_FOLDERS = ("benign", "malignant")

MED_NODE = Source(
    key="med_node",
    title="MED-NODE",
    rule=LabelRule(malignant=("melanoma",), benign=("nevus",)),
    side=512,
    licence="As stated by the University of Groningen: for research",
    citation="Giotis et al., Expert Syst. Appl. 42:6578 (2015)",
    layout="complete_mednode_dataset/{melanoma,naevus}/*.jpg",
    folders=("melanoma", "naevus", "nevus"),
    modality="clinical",
    published=Counts(100, 70, TABLE_1),
)
HIBA = Source(
    key="hiba",
    title="HIBA",
    rule=LabelRule(
        malignant=("melanoma", *CARCINOMAS), dropped=("actinic_keratosis",), by_target=True
    ),
    side=512,
    licence=CC_BY,
    citation="Ricci Lara et al., Sci. Data 10:712 (2023)",
    layout="images/ISIC_*.jpg, images/metadata.csv",
    tables=(
        archive_export(
            "diagnosis", "*hiba*", "*hospital-italiano*", attribution="Hospital Italiano"
        ),
        archive_export(
            "diagnosis_1", "*hiba*", "*hospital-italiano*", attribution="Hospital Italiano"
        ),
    ),
    published=Counts(802, 751, TABLE_1),
)
DERM12345 = Source(
    key="derm12345",
    title="Derm12345",
    rule=LabelRule(dropped=("actinic_keratosis",), by_target=True),
    side=512,
    licence=CC_BY,
    citation="Yilmaz et al., Sci. Data 11:1302 (2024)",
    layout="derm12345_train_part_{1,2}/<label>/DERM_*.jpg, derm12345_test/, metadata csv",
    tables=(
        TableRecord(
            columns={
                **COLUMNS,
                Field.IMAGE: ("image_id", "isic_id"),
                Field.DIAGNOSIS: ("sub_class", "main_class_2", "main_class_1", "label"),
                Field.TARGET: ("malignancy",),
                Field.SPLIT: ("split",),
            },
            required=("image_id", "malignancy"),
            telling=("malignancy",),
        ),
        archive_export("diagnosis_1", "*derm12345*"),
    ),
    modality="dermoscopic",
    published=Counts(11_120, 1_167, TABLE_1),
)
ISIC2019 = Source(
    key="isic2019",
    title="ISIC 2019",
    rule=LabelRule(
        malignant=("melanoma", "actinic_keratosis", *CARCINOMAS),
        benign=("nevus", "benign_keratosis", "dermatofibroma", "vascular_lesion"),
    ),
    side=512,
    licence=CC_BY_NC,
    citation="Tschandl et al. 2018; Codella et al. 2018; Combalia et al. 2019",
    layout="ISIC_2019_Training_Input/*.jpg, ISIC_2019_Training_GroundTruth.csv, ..._Metadata.csv; "
    "the same with Test",
    tables=(
        TableRecord(
            columns={Field.IMAGE: ("image",)},
            required=("image",),
            telling=("image", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"),
            one_hot=("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"),
        ),
        TableRecord(
            columns={**COLUMNS, Field.IMAGE: ("image",)},
            required=("image", "age_approx", "sex"),
            telling=("image", "age_approx", "anatom_site_general", "sex"),
            optional=True,
        ),
    ),
    modality="dermoscopic",
    published=Counts(15_991, 9_340, TABLE_1),
    test_apart=True,
)
ISIC2020 = Source(
    key="isic2020",
    title="ISIC 2020",
    rule=LabelRule(by_target=True),
    side=512,
    licence=CC_BY_NC,
    citation="Rotemberg et al., Sci. Data 8:34 (2021)",
    layout="train/ISIC_*.jpg or ISIC_*.dcm, ISIC_2020_Training_GroundTruth.csv (also _v2)",
    tables=(
        TableRecord(
            columns={
                **COLUMNS,
                Field.IMAGE: ("image_name", "isic_id"),
                Field.TARGET: ("target", "benign_malignant", "diagnosis_1"),
            },
            required=("image_name", "benign_malignant"),
            telling=("image_name", "patient_id", "benign_malignant"),
        ),
        archive_export("benign_malignant", "*isic*2020*", "*challenge-2020*"),
        archive_export("diagnosis_1", "*isic*2020*", "*challenge-2020*"),
    ),
    modality="dermoscopic",
    published=Counts(32_542, 584, TABLE_1),
)
MILK10K = Source(
    key="milk10k",
    title="MILK10k",
    rule=LabelRule(
        malignant=("melanoma", "actinic_keratosis", "other_malignant", *CARCINOMAS),
        benign=(
            "nevus",
            "benign_keratosis",
            "dermatofibroma",
            "vascular_lesion",
            "inflammatory",
            "other_benign",
        ),
    ),
    side=512,
    licence=CC_BY_NC,
    citation="MILK study team, MILK10k (ISIC archive, 2025)",
    layout="MILK10k_Training_Input/<lesion_id>/<isic_id>.jpg, GroundTruth and Metadata csv",
    tables=(
        TableRecord(
            columns={Field.LESION: ("lesion_id",)},
            required=("lesion_id",),
            key=Field.LESION,
            telling=("lesion_id", "AKIEC", "BCC", "MEL", "NV", "SCCKA"),
            one_hot=(
                *("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV"),
                *("SCCKA", "VASC"),
            ),
        ),
        TableRecord(
            columns={**COLUMNS, Field.SKIN_TONE: ("skin_tone_class",), Field.DIAGNOSIS: ()},
            required=("isic_id", "lesion_id", "image_type"),
            telling=("isic_id", "lesion_id", "skin_tone_class"),
        ),
    ),
    published=Counts(2_966, 7_514, TABLE_1),
    fitzpatrick=False,
)
PAD_UFES_20 = Source(
    key="pad_ufes_20",
    title="PAD-UFES-20",
    rule=LabelRule(
        malignant=("melanoma", *CARCINOMAS),
        benign=("actinic_keratosis", "nevus", "seborrheic_keratosis"),
    ),
    side=512,
    licence=CC_BY,
    citation="Pacheco et al., Data in Brief 32:106221 (2020)",
    layout="images/imgs_part_{1,2,3}/PAT_*.png, metadata.csv",
    tables=(
        TableRecord(
            columns={
                Field.IMAGE: ("img_id",),
                Field.LESION: ("lesion_id",),
                Field.PATIENT: ("patient_id",),
                Field.DIAGNOSIS: ("diagnostic", "diagnosis"),
                Field.AGE: AGE,
                Field.SEX: ("gender", "sex"),
                Field.SITE: ("region", "site"),
                Field.SKIN_TONE: ("fitspatrick", "fitzpatrick"),
            },
            required=("img_id", "diagnostic"),
            telling=("img_id", "diagnostic"),
        ),
    ),
    modality="clinical",
    published=Counts(1_209, 1_089, TABLE_1),
)
KAGGLE1 = Source(
    key="kaggle1",
    title="Kaggle 1",
    rule=LabelRule(by_target=True),
    side=256,
    licence=CC0,
    citation="Javid, Melanoma Skin Cancer Dataset of 10,000 images, Kaggle (2022)",
    layout="melanoma_cancer_dataset/{train,test}/{benign,malignant}/*.jpg",
    folders=TRAIN_TEST_FOLDERS,
    modality="dermoscopic",
    published=Counts(5_000, 4_605, TABLE_1),
    test_apart=True,
)
KAGGLE2 = Source(
    key="kaggle2",
    title="Kaggle 2",
    rule=LabelRule(by_target=True),
    side=256,
    licence="As stated by its uploader",
    citation="Skin cancer images re-packed by benign and malignant, Kaggle",
    layout="{train,test}/{Benign,Malignant}/*.jpg",
    folders=TRAIN_TEST_FOLDERS,
    modality="dermoscopic",
    published=Counts(6_289, 5_590, TABLE_1),
    test_apart=True,
)
DDI = Source(
    key="ddi",
    title="DDI",
    rule=LabelRule(by_target=True),
    side=256,
    licence="Stanford research use agreement: no redistribution",
    citation="Daneshjou et al., Sci. Adv. 8:eabq6147 (2022)",
    layout="ddidiversedermatologyimages/000001.png, ddi_metadata.csv",
    tables=(
        TableRecord(
            columns={
                Field.IMAGE: ("DDI_file",),
                Field.DIAGNOSIS: ("disease",),
                Field.TARGET: ("malignant",),
                Field.SKIN_TONE: ("skin_tone",),
            },
            required=("DDI_file", "malignant"),
            telling=("DDI_file", "malignant"),
        ),
    ),
    modality="clinical",
    published=Counts(485, 171, TABLE_1),
)
ISIC2024 = Source(
    key="isic2024",
    title="ISIC 2024",
    rule=LabelRule(by_target=True),
    side=128,
    licence=CC_BY,
    citation="Kurtansky et al., Sci. Data 11:884 (2024), SLICE-3D",
    layout="train-image/image/ISIC_*.jpg or train-image.hdf5, train-metadata.csv",
    tables=(
        TableRecord(
            columns={
                **COLUMNS,
                Field.TARGET: ("target", "malignant", "benign_malignant"),
                Field.DIAGNOSIS: ("iddx_5", "iddx_4", "iddx_3", "iddx_2", "iddx_1"),
                Field.SITE: ("anatom_site_general", *SITE),
            },
            required=("isic_id",),
            telling=("isic_id", "tbp_tile_type"),
        ),
        TableRecord(
            columns={Field.IMAGE: ("isic_id",), Field.TARGET: ("malignant",)},
            required=("isic_id", "malignant"),
            telling=("isic_id", "malignant"),
        ),
    ),
    modality="tbp",
    published=Counts(400_666, 393, TABLE_1),
)

PAPER = (
    *(MED_NODE, HIBA, DERM12345, ISIC2019, ISIC2020, MILK10K),
    *(PAD_UFES_20, KAGGLE1, KAGGLE2, DDI, ISIC2024),
)
