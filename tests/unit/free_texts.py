"""Lesion descriptions in free words and what a clinician reads in each.

`REAL` are the captions quoted from the authors' release and from Fig. 2 of the paper (arXiv
2603.16392); `HAND_WRITTEN` were written for this test. The truth was set down from the words alone,
by the conventions of `backend.abc.parser`, before the parser had seen them. A field that a
truth leaves out must be read as None.
"""

from dataclasses import dataclass

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
)

SYMMETRIC, ONE_AXIS, TWO_AXES = Asymmetry
REGULAR, SLIGHTLY_IRREGULAR, IRREGULAR = Border
WELL_DEFINED, FADING = Edge
WHITE, RED, LIGHT_BROWN, DARK_BROWN, BLUE_GRAY, BLACK = Colour
UNIFORM, TWO_TONE, VARIEGATED = ColourPattern
BENIGN, MALIGNANT = Label
DERMOSCOPIC, CLINICAL = Modality
Truth = LesionAttributes


@dataclass(frozen=True)
class FreeText:
    """One description with its truth."""

    text: str
    truth: LesionAttributes


REAL = (
    FreeText(
        "The mole exhibits a pronounced asymmetry, characterized by an uneven distribution of "
        "pigment and shape, with one half being notably darker than the other. The border of the "
        "mole is irregular, featuring jagged edges and a lack of smooth, uniform contours. The "
        "color of the mole is predominantly brown, with patches of lighter and darker shades "
        "scattered throughout, creating a mottled appearance. Overall, the mole displays a "
        "concerning combination of features that are often indicative of malignancy.",
        Truth(
            asymmetry=ONE_AXIS,
            border=IRREGULAR,
            colours=(DARK_BROWN, LIGHT_BROWN),
            pattern=VARIEGATED,
        ),
    ),
    FreeText(
        "... its borders are well-defined and symmetrical. The mole's color is a uniform light "
        "brown, with no visible patches or areas of darker or lighter pigmentation. The mole's "
        "surface is smooth and flat ...",
        Truth(asymmetry=SYMMETRIC, edge=WELL_DEFINED, colours=(LIGHT_BROWN,), pattern=UNIFORM),
    ),
    FreeText(
        "... The border of the mole is also irregular, with a jagged and notched appearance ... "
        "In contrast, the right side of the mole has a smoother border with fewer notches. The "
        "color of the mole is also abnormal, with a mix of brown and black pigmentation.",
        Truth(border=IRREGULAR, colours=(DARK_BROWN, BLACK), pattern=TWO_TONE),
    ),
    FreeText(
        "The mole in the image is generally symmetrical, with a relatively smooth border. "
        "However, there are some areas where the border appears to be slightly irregular, with a "
        "few small notches and bumps. The color of the mole is primarily brown, with some areas "
        "of lighter and darker shades of brown. There are also some small, darker spots scattered "
        "throughout the mole, which may be pigmentation variations or small freckles. Overall, "
        "the mole has a relatively uniform color and texture, with some minor variations.",
        Truth(
            asymmetry=SYMMETRIC,
            border=SLIGHTLY_IRREGULAR,
            colours=(DARK_BROWN, LIGHT_BROWN),
            pattern=UNIFORM,
        ),
    ),
    FreeText(
        "The mole exhibits a notable degree of asymmetry, with one half being significantly "
        "larger than the other. The border of the mole is irregular and jagged, with a rough, "
        "uneven texture. The coloration of the mole is also irregular, featuring a mix of dark "
        "brown and black patches scattered throughout the lesion. Additionally, there are areas "
        "of lighter skin tone visible, which may indicate a variation in pigmentation. Overall, "
        "the mole’s appearance suggests a potential malignancy, warranting further examination "
        "and diagnosis.",
        Truth(
            asymmetry=ONE_AXIS,
            border=IRREGULAR,
            colours=(DARK_BROWN, BLACK),
            pattern=TWO_TONE,
        ),
    ),
)

HAND_WRITTEN = (
    # Telegram style, as in a clinic letter
    FreeText(
        "6mm pigmented lesion L forearm, asymm 2 axes, irreg border, colours "
        "brown/black/blue-grey.",
        Truth(
            asymmetry=TWO_AXES,
            border=IRREGULAR,
            colours=(DARK_BROWN, BLUE_GRAY, BLACK),
            pattern=VARIEGATED,
            site=Site.UPPER_EXTREMITY,
            diameter_mm=6,
        ),
    ),
    FreeText(
        "Symmetrical, well demarcated, even tan papule on R cheek, 4 mm. Benign naevus.",
        Truth(
            asymmetry=SYMMETRIC,
            edge=WELL_DEFINED,
            colours=(LIGHT_BROWN,),
            pattern=UNIFORM,
            label=BENIGN,
            diagnosis=Diagnosis.NEVUS,
            site=Site.HEAD_NECK,
            diameter_mm=4,
        ),
    ),
    FreeText(
        "A: asymmetric in both axes. B: ragged, ill-defined. C: red, white and dark brown. "
        "D: 9 mm.",
        Truth(
            asymmetry=TWO_AXES,
            border=IRREGULAR,
            edge=FADING,
            colours=(RED, WHITE, DARK_BROWN),
            pattern=VARIEGATED,
            diameter_mm=9,
        ),
    ),
    FreeText(
        "Dermoscopy: no asymmetry, regular outline fading at the periphery, light-brown "
        "throughout. FST III.",
        Truth(
            asymmetry=SYMMETRIC,
            border=REGULAR,
            edge=FADING,
            colours=(LIGHT_BROWN,),
            pattern=UNIFORM,
            modality=DERMOSCOPIC,
            skin_tone=SkinTone.III,
        ),
    ),
    FreeText(
        "Asymmetry: 1 axis. Border: slightly irregular, abrupt cut-off. Colours: 2 (dark brown, "
        "black). Site: thigh. Diameter: 7.5 mm. Phototype II.",
        Truth(
            asymmetry=ONE_AXIS,
            border=SLIGHTLY_IRREGULAR,
            edge=WELL_DEFINED,
            colours=(DARK_BROWN, BLACK),
            pattern=TWO_TONE,
            site=Site.LOWER_EXTREMITY,
            diameter_mm=7.5,
            skin_tone=SkinTone.II,
        ),
    ),
    # Negation
    FreeText(
        "The lesion is not symmetric. Its border lacks irregularity. There is no blue and no "
        "black; only light brown is seen.",
        Truth(asymmetry=ONE_AXIS, border=REGULAR, colours=(LIGHT_BROWN,), pattern=UNIFORM),
    ),
    FreeText(
        "Dark brown macule without asymmetry, without notching of the border, and with no red, "
        "white or blue-gray areas.",
        Truth(asymmetry=SYMMETRIC, border=REGULAR, colours=(DARK_BROWN,), pattern=UNIFORM),
    ),
    FreeText(
        "There isn't any asymmetry, and the margins aren't irregular. The edge is not sharp; "
        "pigment fades into normal skin.",
        Truth(asymmetry=SYMMETRIC, border=REGULAR, edge=FADING),
    ),
    FreeText(
        "The border is neither jagged nor notched. Black pigment is absent. Colour is a "
        "homogeneous reddish brown.",
        Truth(border=REGULAR, colours=(DARK_BROWN,), pattern=UNIFORM),
    ),
    FreeText(
        "No evidence of melanoma. Blue-grey structures are not seen, but white scar-like areas "
        "are present within a pink lesion on the chest.",
        Truth(colours=(WHITE, RED), pattern=TWO_TONE, site=Site.CHEST),
    ),
    FreeText(
        "Far from being uniform, the colour ranges from light to dark brown with black dots.",
        Truth(colours=(LIGHT_BROWN, DARK_BROWN, BLACK), pattern=VARIEGATED),
    ),
    # Hedging
    FreeText(
        "The mole appears roughly symmetrical with fairly regular borders. The colour is more or "
        "less uniform, somewhere around medium brown.",
        Truth(asymmetry=SYMMETRIC, border=REGULAR, colours=(DARK_BROWN,), pattern=UNIFORM),
    ),
    FreeText(
        "Mostly smooth outline, perhaps a little irregular inferiorly. Possibly an early "
        "melanoma, although a benign nevus cannot be excluded.",
        Truth(border=SLIGHTLY_IRREGULAR),
    ),
    FreeText(
        "Slight asymmetry is noted. The border might be described as somewhat uneven, and its "
        "edge is reasonably well defined. Probably benign.",
        Truth(asymmetry=ONE_AXIS, border=SLIGHTLY_IRREGULAR, edge=WELL_DEFINED),
    ),
    FreeText(
        "This lesion is suspicious for melanoma: strikingly asymmetric, very irregular contour, "
        "several colours including black, blue and red.",
        Truth(
            asymmetry=TWO_AXES,
            border=IRREGULAR,
            colours=(BLACK, RED, BLUE_GRAY),
            pattern=VARIEGATED,
        ),
    ),
    # Contrast
    FreeText(
        "The outline is smoother on the right, jagged on the left; colour is tan centrally but "
        "nearly black at the rim.",
        Truth(border=IRREGULAR, colours=(LIGHT_BROWN, BLACK), pattern=TWO_TONE),
    ),
    FreeText(
        "Although the border is smooth superiorly, it is irregular inferiorly. While the upper "
        "half is light brown, the lower half is dark brown.",
        Truth(border=SLIGHTLY_IRREGULAR, colours=(LIGHT_BROWN, DARK_BROWN), pattern=TWO_TONE),
    ),
    FreeText(
        "In shape it is perfectly symmetrical; in contrast, its border is scalloped all around, "
        "although the edge itself is crisp. No red is found.",
        Truth(asymmetry=SYMMETRIC, border=IRREGULAR, edge=WELL_DEFINED),
    ),
    FreeText(
        "The surface is rough and irregular, yet the border itself is smooth and sharply cut. "
        "The skin around it is reddish, the lesion is grey.",
        Truth(border=REGULAR, edge=WELL_DEFINED, colours=(BLUE_GRAY,), pattern=UNIFORM),
    ),
    # As a patient would put it
    FreeText(
        "I have this brown mole on my left calf, about the size of a pencil eraser (6 mm). One "
        "half doesn't look like the other and the edges look blurry.",
        Truth(
            asymmetry=ONE_AXIS,
            edge=FADING,
            colours=(DARK_BROWN,),
            pattern=UNIFORM,
            site=Site.LOWER_EXTREMITY,
            diameter_mm=6,
        ),
    ),
    FreeText(
        "It's round and the same on both sides, all one colour, a light tan, with a nice smooth "
        "edge. It's on my belly.",
        Truth(
            asymmetry=SYMMETRIC,
            border=REGULAR,
            colours=(LIGHT_BROWN,),
            pattern=UNIFORM,
            site=Site.ABDOMEN,
        ),
    ),
    FreeText(
        "The spot on my shoulder got bigger, now 1.2 cm wide, with black, brown and reddish bits "
        "and a raggedy edge.",
        Truth(
            border=IRREGULAR,
            colours=(BLACK, RED, DARK_BROWN),
            pattern=VARIEGATED,
            site=Site.UPPER_EXTREMITY,
            diameter_mm=12,
        ),
    ),
    FreeText(
        "My dad's dark skin makes it hard to see, but there is a jet-black streak on the sole of "
        "his foot.",
        Truth(
            colours=(BLACK,),
            pattern=UNIFORM,
            skin_tone=SkinTone.V,
            site=Site.PALMS_SOLES,
        ),
    ),
    # German words among English ones
    FreeText(
        "Läsion am Rücken, symmetrisch, regelmässiger Rand, scharf begrenzt, hellbraun, 5 mm.",
        Truth(
            asymmetry=SYMMETRIC,
            border=REGULAR,
            edge=WELL_DEFINED,
            colours=(LIGHT_BROWN,),
            pattern=UNIFORM,
            site=Site.BACK,
            diameter_mm=5,
        ),
    ),
    FreeText(
        "Pigmented lesion with asymmetry in zwei Achsen, Rand unregelmäßig, colours dunkelbraun "
        "und schwarz, diameter 8,5 mm, skin type 2 nach Fitzpatrick.",
        Truth(
            asymmetry=TWO_AXES,
            border=IRREGULAR,
            colours=(DARK_BROWN, BLACK),
            pattern=TWO_TONE,
            diameter_mm=8.5,
            skin_tone=SkinTone.II,
        ),
    ),
    FreeText(
        "Dermatoscopic picture of a naevus with slightly unregular border and unsharp edges, "
        "brown colour, located at the upper leg.",
        Truth(
            border=SLIGHTLY_IRREGULAR,
            edge=FADING,
            colours=(DARK_BROWN,),
            pattern=UNIFORM,
            diagnosis=Diagnosis.NEVUS,
            modality=DERMOSCOPIC,
            site=Site.LOWER_EXTREMITY,
        ),
    ),
    # As a vision-language model would put it
    FreeText(
        "This photo depicts a benign lesion. Here's a description of the mole: The mole is "
        "symmetrical in shape, with both halves being similar in size and form. The border is "
        "smooth and even, without any jagged or irregular edges. The color is a consistent "
        "medium brown throughout.",
        Truth(
            asymmetry=SYMMETRIC,
            border=REGULAR,
            colours=(DARK_BROWN,),
            pattern=UNIFORM,
            label=BENIGN,
        ),
    ),
    FreeText(
        "This photo depicts a malignant lesion. Here's a description of the mole: The lesion is "
        "highly asymmetrical, with an uneven shape. The borders are poorly defined and irregular, "
        "blending into the surrounding skin. Its color varies, with shades of brown, black, and "
        "red visible throughout.",
        Truth(
            asymmetry=TWO_AXES,
            border=IRREGULAR,
            edge=FADING,
            colours=(DARK_BROWN, RED, BLACK),
            pattern=VARIEGATED,
            label=MALIGNANT,
        ),
    ),
    FreeText(
        "**Asymmetry:** The mole displays mild asymmetry, as its left side is slightly larger.\n"
        "**Border irregularity:** The border is well-defined with minimal irregularity.\n"
        "**Color:** The mole has a uniform dark brown color.",
        Truth(
            asymmetry=ONE_AXIS,
            border=SLIGHTLY_IRREGULAR,
            edge=WELL_DEFINED,
            colours=(DARK_BROWN,),
            pattern=UNIFORM,
        ),
    ),
    FreeText(
        "The image shows a close-up clinical photograph of a skin lesion. The lesion has a "
        "variegated color pattern, ranging from tan to dark brown, with focal areas of bluish "
        "discoloration and surrounding erythema. The borders are notched and poorly demarcated.",
        Truth(
            border=IRREGULAR,
            edge=FADING,
            colours=(LIGHT_BROWN, DARK_BROWN, BLUE_GRAY),
            pattern=VARIEGATED,
            modality=CLINICAL,
        ),
    ),
    FreeText(
        "The mole is characterized by its lack of symmetry and uneven, scalloped edges. It "
        "features a blend of beige, brown and slate-coloured tones.",
        Truth(
            asymmetry=ONE_AXIS,
            border=IRREGULAR,
            colours=(LIGHT_BROWN, DARK_BROWN, BLUE_GRAY),
            pattern=VARIEGATED,
        ),
    ),
    # As pathology or dermoscopy reports put it
    FreeText(
        "Histologically confirmed superficial spreading melanoma of the lower back, 11 x 8 mm, "
        "asymmetric in 2 axes, abrupt edge in most segments, dark-brown, black and blue-white "
        "veil.",
        Truth(
            asymmetry=TWO_AXES,
            edge=WELL_DEFINED,
            colours=(DARK_BROWN, WHITE, BLUE_GRAY, BLACK),
            pattern=VARIEGATED,
            diagnosis=Diagnosis.MELANOMA,
            site=Site.BACK,
            diameter_mm=11,
        ),
    ),
    FreeText(
        "Basal-cell carcinoma, nose. Pearly pink papule, well circumscribed, Fitzpatrick skin "
        "type I. Macroscopic photo.",
        Truth(
            edge=WELL_DEFINED,
            colours=(RED,),
            pattern=UNIFORM,
            diagnosis=Diagnosis.BASAL_CELL_CARCINOMA,
            modality=CLINICAL,
            skin_tone=SkinTone.I,
            site=Site.HEAD_NECK,
        ),
    ),
    FreeText(
        "DERMATOSCOPY: SEBORRHOEIC KERATOSES, BACK. SHARPLY DEMARCATED MARGINS, MULTIPLE COLORS: "
        "LIGHT BROWN, DARK BROWN, GRAY.",
        Truth(
            edge=WELL_DEFINED,
            colours=(LIGHT_BROWN, DARK_BROWN, BLUE_GRAY),
            pattern=VARIEGATED,
            diagnosis=Diagnosis.SEBORRHEIC_KERATOSIS,
            modality=DERMOSCOPIC,
            site=Site.BACK,
        ),
    ),
    FreeText(
        "Dermatofibroma on the lower leg of a patient with skin phototype IV-V: central white "
        "patch, delicate light brown network at the periphery, mirror symmetry, diffuse margin.",
        Truth(
            asymmetry=SYMMETRIC,
            edge=FADING,
            colours=(WHITE, LIGHT_BROWN),
            pattern=TWO_TONE,
            diagnosis=Diagnosis.DERMATOFIBROMA,
            skin_tone=SkinTone.IV,
            site=Site.LOWER_EXTREMITY,
        ),
    ),
    FreeText(
        "Vascular lesion (cherry angioma) on the scalp: bright red, uniform, round, smooth "
        "border, 3 millimetres.",
        Truth(
            border=REGULAR,
            colours=(RED,),
            pattern=UNIFORM,
            diagnosis=Diagnosis.VASCULAR_LESION,
            site=Site.HEAD_NECK,
            diameter_mm=3,
        ),
    ),
    FreeText(
        "Malignant; squamous cell carcinoma on the dorsal hand, erythematous with whitish scale, "
        "indistinct borders, 14 mm in greatest dimension, Fitzpatrick II.",
        Truth(
            edge=FADING,
            colours=(RED, WHITE),
            pattern=TWO_TONE,
            label=MALIGNANT,
            diagnosis=Diagnosis.SQUAMOUS_CELL_CARCINOMA,
            skin_tone=SkinTone.II,
            site=Site.UPPER_EXTREMITY,
            diameter_mm=14,
        ),
    ),
    FreeText(
        "A solar lentigo on fair skin: flat, light‑brown, uniformly pigmented with a moth-eaten, "
        "sharply defined edge; the dominant impression is benign.",
        Truth(
            border=IRREGULAR,
            edge=WELL_DEFINED,
            colours=(LIGHT_BROWN,),
            pattern=UNIFORM,
            label=BENIGN,
            diagnosis=Diagnosis.SOLAR_LENTIGO,
            skin_tone=SkinTone.II,
        ),
    ),
    # Dominance
    FreeText(
        "Areas of black and blue-gray on a predominantly dark brown background, mottled, on the "
        "abdomen.",
        Truth(
            colours=(DARK_BROWN, BLUE_GRAY, BLACK),
            pattern=VARIEGATED,
            site=Site.ABDOMEN,
        ),
    ),
    FreeText(
        "White and pink flecks are scattered over a lesion that is chiefly light brown. Neither "
        "black nor blue is present. The halves do not match along either axis.",
        Truth(
            asymmetry=TWO_AXES,
            colours=(LIGHT_BROWN, WHITE, RED),
            pattern=VARIEGATED,
        ),
    ),
)
