"""Ten rows under the true header of each dataset's tables, with what its rule must make of them.

The headers are those that the datasets publish; the rows are made up.
"""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

ARCHIVE_OLD = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,benign_malignant,"
    "dermoscopic_type,diagnosis,diagnosis_confirm_type,family_hx_mm,image_type,lesion_id,"
    "patient_id,personal_hx_mm,pixels_x,pixels_y,sex"
)
ARCHIVE_NEW = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,"
    "diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_4,diagnosis_5,image_type,lesion_id,patient_id,sex"
)
HIBA_OLD = [
    *(("malignant", word) for word in ("melanoma", "basal cell carcinoma")),
    ("malignant", "squamous cell carcinoma"),
    *(("benign", word) for word in ("actinic keratosis", "nevus", "seborrheic keratosis")),
    *(("benign", word) for word in ("dermatofibroma", "vascular lesion", "solar lentigo")),
    ("benign", "lichenoid keratosis"),
]
EPIDERMAL = "Malignant epidermal proliferations"
HIBA_NEW = [
    "Malignant,Malignant melanocytic proliferations (Melanoma),Melanoma Invasive,,",
    "Malignant,Malignant melanocytic proliferations (Melanoma),Melanoma in situ,Lentigo maligna,",
    "Malignant,Malignant adnexal epithelial proliferations - Follicular,Basal cell carcinoma,,",
    f'Malignant,{EPIDERMAL},"Squamous cell carcinoma, NOS",,',
    "Indeterminate,Indeterminate epidermal proliferations,Solar or actinic keratosis,,",
    "Benign,Benign melanocytic proliferations,Nevus,,",
    "Benign,Benign epidermal proliferations,Seborrheic keratosis,,",
    "Benign,Benign epidermal proliferations,Lichen planus like keratosis,,",
    "Benign,Benign soft tissue proliferations - Vascular,Hemangioma,,",
    "Benign,Benign soft tissue proliferations - Fibro-histiocytic,Dermatofibroma,,",
]
TBP = (
    "isic_id,target,patient_id,age_approx,sex,anatom_site_general,clin_size_long_diam_mm,"
    "image_type,tbp_tile_type,tbp_lv_A,tbp_lv_location,attribution,copyright_license,lesion_id,"
    "iddx_full,iddx_1,iddx_2,iddx_3,iddx_4,iddx_5,mel_mitotic_index,mel_thick_mm,tbp_lv_dnn_"
)
MILK_HEADER = "lesion_id,AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC"
MILK_META = (
    "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,"
    "sex,skin_tone_class,site,MONET_ulceration_crust,MONET_hair"
)
PAD = (
    "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
    "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,"
    "diameter_1,diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed"
)
DERM7PT = (
    "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,"
    "regression_structures,dots_and_globules,blue_whitish_veil,vascular_structures,"
    "level_of_diagnostic_difficulty,elevation,location,sex,clinic,derm,case_id,notes,management"
)
PH2_HEADER = (
    "|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry || Pigment Network "
    "|| Dots/Globules || Streaks || Regression Areas || Blue-Whitish Veil || Colors ||"
)


def numbered(header: str, rows: list[str]) -> str:
    """A table; `{n}` in a row is its number."""
    return "\n".join([header, *(row.replace("{n}", str(n)) for n, row in enumerate(rows))]) + "\n"


def one_hot(codes: list[str], given: list[str], name: str) -> list[str]:
    """Rows with 1.0 under one code."""
    return [
        ",".join([f"{name}{n}", *("1.0" if code == one else "0.0" for code in codes)])
        for n, one in enumerate(given)
    ]


def hiba_old() -> dict[str, str]:
    rows = [
        f"ISIC_100{{n}},Hospital Italiano de Buenos Aires,CC-BY,50.0,head/neck,{target},,{word},"
        "histopathology,,clinical,IL_{n},IP_{n},,640,480,male"
        for target, word in HIBA_OLD
    ]
    return {"metadata.csv": numbered(ARCHIVE_OLD, rows)}


def hiba_new() -> dict[str, str]:
    rows = [
        f"ISIC_100{{n}},Hospital Italiano de Buenos Aires,CC-BY,50,head/neck,{levels},"
        "dermoscopic,IL_{n},IP_{n},female"
        for levels in HIBA_NEW
    ]
    return {"metadata.csv": numbered(ARCHIVE_NEW, rows)}


def derm12345() -> dict[str, str]:
    header = (
        "image_id,patient_id,image_type,copyright-license,split,super_class,malignancy,"
        "main_class_1,main_class_2,sub_class,label"
    )
    row = "DERM_{n},PID_{n},dermoscopic,CC-BY,train,"
    benign = [row + "melanocytic,benign,banal,compound,acral,acb"] * 5
    dropped = "nonmelanocytic,indeterminate,keratinocytic,keratinocytic,actinic_keratosis,ak"
    malignant = [row + "melanocytic,malignant,melanoma,melanoma,acral_lentiginious,alm"] * 3
    rows = [*benign, row + dropped, row + dropped, *malignant]
    return {"derm12345_metadata_train.csv": numbered(header, rows)}


def isic2019() -> dict[str, str]:
    codes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    given = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK", "NV"]
    metadata = numbered(
        "image,age_approx,anatom_site_general,lesion_id,sex",
        ["ISIC_{n},55,anterior torso,,female"] * 9 + ["ISIC_{n}_downsampled,,,BCN_1,"],
    )
    truth = one_hot(codes, given, "ISIC_")
    truth[9] = truth[9].replace("ISIC_9", "ISIC_9_downsampled")
    test = one_hot([*codes, "score_weight", "validation_weight"], ["MEL", "UNK"], "ISIC_T")
    return {
        "ISIC_2019_Training_GroundTruth.csv": numbered("image," + ",".join(codes), truth),
        "ISIC_2019_Training_Metadata.csv": metadata,
        "ISIC_2019_Test_GroundTruth.csv": numbered(
            "image," + ",".join(codes) + ",score_weight,validation_weight", test
        ),
    }


def isic2020() -> dict[str, str]:
    header = (
        "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
        "benign_malignant,target"
    )
    benign = ["ISIC_{n},IP_{n},IL_{n},male,45,head/neck,unknown,benign,0"] * 7
    malignant = ["ISIC_{n},IP_{n},IL_{n},female,50,,melanoma,malignant,1"] * 3
    return {
        "ISIC_2020_Training_GroundTruth_v2.csv": numbered(header, benign + malignant),
        "ISIC_2020_Training_Duplicates.csv": "image_name_1,image_name_2\nISIC_1,ISIC_2\n",
    }


def milk10k() -> dict[str, str]:
    codes = MILK_HEADER.split(",")[1:]
    images = [
        f"IL_{n},{kind},ISIC_{n}{letter},MILK study team,CC-BY-NC,altered,70,male,3,trunk,0.1,0.2"
        for n in range(len(codes) - 1)
        for kind, letter in (("clinical: close-up", "c"), ("dermoscopic", "d"))
    ]
    return {
        "MILK10k_Training_GroundTruth.csv": numbered(
            MILK_HEADER, one_hot(codes, codes[:-1], "IL_")
        ),
        "MILK10k_Training_Metadata.csv": numbered(MILK_META, images),
    }


def pad_ufes_20() -> dict[str, str]:
    rows = [
        f"PAT_{{n}},{{n}},,,,,60,,FEMALE,,,,,2.0,FOREARM,,,{code},,,,,,,PAT_{{n}}_1_1.png,True"
        for code in ["BCC", "SCC", "MEL", "ACK", "ACK", "NEV", "SEK", "ACK", "NEV", "XXX"]
    ]
    return {"metadata.csv": numbered(PAD, rows)}


def ddi() -> dict[str, str]:
    rows = [
        f"{{n}},{{n}},{n + 1:06d}.png,{(12, 34, 56)[n % 3]},{malignant},melanocytic-nevi"
        for n, malignant in enumerate(["False"] * 7 + ["True"] * 3)
    ]
    return {"ddi_metadata.csv": numbered(",DDI_ID,DDI_file,skin_tone,malignant,disease", rows)}


def isic2024() -> dict[str, str]:
    row = "ISIC_{n},%s,IP_1,60,male,lower extremity,3.0,TBP tile: close-up,3D: white,20.2,"
    row += "Right Leg - Upper,x,CC-BY,,Benign,Benign,,,,,,,97.5"
    return {"train-metadata.csv": numbered(TBP, [row % "0"] * 8 + [row % "1"] * 2)}


def ham10000() -> dict[str, str]:
    rows = [
        f"HAM_{{n}},ISIC_{{n}},{dx},histo,80.0,male,scalp"
        for dx in ["bkl", "nv", "df", "mel", "vasc", "bcc", "akiec", "nv", "nv", "unknown"]
    ]
    return {
        "HAM10000_metadata": numbered("lesion_id,image_id,dx,dx_type,age,sex,localization", rows)
    }


def ph2() -> dict[str, str]:
    rows = [
        f"|| IMD00{{n}} ||  || {code} || 0 || AT || A || A || A || A || 4 ||"
        for code in "0001112222"
    ]
    return {"PH2_dataset.txt": numbered(PH2_HEADER, rows)}


def derm7pt() -> dict[str, str]:
    words = ["melanoma (in situ)", "basal cell carcinoma", "clark nevus", "blue nevus", "lentigo"]
    rows = [
        f"{{n}},{word},3,absent,absent,absent,absent,absent,absent,absent,low,flat,back,female,"
        "NEL/N{n}.jpg,NEL/D{n}.jpg,,,excision"
        for word in words
    ]
    return {"meta/meta.csv": numbered(DERM7PT, rows)}


def fitzpatrick17k() -> dict[str, str]:
    header = (
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
        "three_partition_label,qc,url,url_alphanum"
    )
    parts = ["benign"] * 4 + ["malignant"] * 3 + ["non-neoplastic"] * 3
    rows = [f"abc{{n}},{n % 6 + 1},3,some disease,x,{part},,," for n, part in enumerate(parts)]
    return {"fitzpatrick17k.csv": numbered(header, rows)}


def complete_milk10k() -> dict[str, str]:
    """As many lesions of each class as were published, two images each."""
    lesions = {"BCC": 2_522, "SCCKA": 473, "MEL": 450, "AKIEC": 303, "MAL_OTH": 9, "NV": 1_483}
    given = [code for code, count in lesions.items() for _ in range(count)]
    images = [
        f"IL_{n},{kind},ISIC_{n}{letter},MILK study team,CC-BY-NC,altered,70,male,3,trunk,0.1,0.2"
        for n in range(len(given))
        for kind, letter in (("clinical: close-up", "c"), ("dermoscopic", "d"))
    ]
    test = ["IL_T{n},dermoscopic,ISIC_T{n},MILK study team,CC-BY-NC,altered,70,male,3,trunk,0,0"]
    return {
        "MILK10k_Training_GroundTruth.csv": numbered(
            MILK_HEADER, one_hot(MILK_HEADER.split(",")[1:], given, "IL_")
        ),
        "MILK10k_Training_Metadata.csv": numbered(MILK_META, images),
        "MILK10k_Test_Metadata.csv": numbered(MILK_META, test * 900),
    }


def complete_isic2020() -> dict[str, str]:
    """Both generations of its ground truth in one folder, with the list of duplicates."""
    first, second = [], []
    for label, count in (("unknown,benign,0", 32_542), ("melanoma,malignant,1", 584)):
        first += [f"ISIC_{{n}},IP_1,male,45,head/neck,{label}"] * count
        second += [f"ISIC_{{n}},IP_1,IL_{{n}},male,45,head/neck,{label}"] * count
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    header += "benign_malignant,target"
    return {
        "ISIC_2020_Training_GroundTruth.csv": numbered(header, first),
        "ISIC_2020_Training_GroundTruth_v2.csv": numbered(
            header.replace("patient_id", "patient_id,lesion_id"), second
        ),
        "ISIC_2020_Training_Duplicates.csv": "image_name_1,image_name_2\nISIC_1,ISIC_2\n",
    }


def complete_ham10000() -> dict[str, str]:
    """Its metadata beside the ground truth of the test set of ISIC 2018, as in one download."""
    classes = {"nv": 6_705, "mel": 1_113, "bkl": 1_099, "bcc": 514, "akiec": 327}
    classes |= {"vasc": 142, "df": 115}
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    rows = [
        f"HAM_{{n}},ISIC_{{n}},{dx},histo,80.0,male,scalp"
        for dx, count in classes.items()
        for _ in range(count)
    ]
    test = ["HAM_T{n},ISIC_T{n},mel,histo,55.0,female,back,vidir_modern"] * 1_511
    return {
        "HAM10000_metadata": numbered(header, rows),
        "ISIC2018_Task3_Test_GroundTruth.csv": numbered(f"{header},dataset", test),
    }


TABLES: dict[str, tuple[str, Callable[[], dict[str, str]], tuple[int, int, int]]] = {
    "hiba, export of 2023": ("hiba", hiba_old, (6, 3, 1)),
    "hiba, newer export": ("hiba", hiba_new, (5, 4, 1)),
    "derm12345": ("derm12345", derm12345, (5, 3, 2)),
    "isic2019": ("isic2019", isic2019, (5, 4, 1)),
    "isic2020": ("isic2020", isic2020, (7, 3, 0)),
    "milk10k": ("milk10k", milk10k, (10, 10, 0)),
    "pad_ufes_20": ("pad_ufes_20", pad_ufes_20, (6, 3, 1)),
    "ddi": ("ddi", ddi, (7, 3, 0)),
    "isic2024": ("isic2024", isic2024, (8, 2, 0)),
    "ham10000": ("ham10000", ham10000, (6, 3, 1)),
    "ph2": ("ph2", ph2, (6, 4, 0)),
    "derm7pt": ("derm7pt", derm7pt, (6, 4, 0)),
    "fitzpatrick17k": ("fitzpatrick17k", fitzpatrick17k, (4, 3, 3)),
}
"""By name: the dataset, its files, and how many are benign, malignant and dropped by its rule."""

COMPLETE: dict[str, Callable[[], dict[str, str]]] = {
    "milk10k": complete_milk10k,
    "isic2020": complete_isic2020,
    "ham10000": complete_ham10000,
}
"""As many rows as were published, with what else lies in the same download."""

FOLDERS: dict[str, tuple[str, ...]] = {
    "med_node": (
        "complete_mednode_dataset/melanoma/1.jpg",
        "complete_mednode_dataset/naevus/1.jpg",
    ),
    "kaggle1": (
        *(
            f"melanoma_cancer_dataset/{split}/benign/melanoma_{split}.jpg"
            for split in ("train", "test")
        ),
        "melanoma_cancer_dataset/train/malignant/melanoma_1.jpg",
    ),
    "kaggle2": ("train/Benign/1.jpg", "train/Malignant/1.JPG", "test/Malignant/1.jpg"),
}


def write_tables(folder: Path, files: dict[str, str]) -> None:
    """Write tables where they belong."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def write_picture(file: Path, seed: int = 0, side: int = 40) -> None:
    """A small picture of its own colour, in the format of its suffix."""
    file.parent.mkdir(parents=True, exist_ok=True)
    colour = (seed * 37 % 256, seed * 91 % 256, seed % 256)
    Image.new("RGB", (side, side), colour).save(file)
