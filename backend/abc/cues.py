"""Phrases that say a value by themselves, by field and value, divided by "|".

The colours are those of the ABCD rule; German words are there because German-speaking clinicians
mix them into English notes. Words are folded as in `tokens`: small, singular, American spelling.
"""

from collections.abc import Mapping

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    Modality,
    Site,
)

BROWN = "brown"  # neither said to be light nor dark; the parser decides from the company it keeps
LIGHTER = "lighter"
DARKER = "darker"
WEAK_VARIEGATED = "uneven"

Phrases = tuple[str, ...]

CUES: Mapping[tuple[str, str], Phrases] = {
    ("asymmetry", Asymmetry.SYMMETRIC): (
        "symmetric|symmetrical|symmetrically|symmetry|mirror|mirrored|mirror image",
        "mirror symmetry|mirror image half|balanced|symmetrisch|symmetrische|symmetrie",
        "symmetrical looking|same on both side|same on either side|identical on both side|symm",
        "mirror imaged|symmetrischer|symmetrischen|symmetrisches|half are mirror image",
        "equal on both side",
    ),
    ("asymmetry", "asymmetric"): (
        "asymmetric|asymmetrical|asymmetrically|asymmetry|asymm|asym|assymetric|assymetrical",
        "asymetric|asymetrical|assymetry|asymetry|unsymmetric|unsymmetrical|nonsymmetric",
        "lopsided|non symmetric|non symmetrical|asymmetrisch|asymmetrische|asymmetrie",
        "asymmetrischer|mismatched half|lop sided|asymmetrischen|asymmetrisches|dissymmetric",
        "nonsymmetrical",
    ),
    ("asymmetry", Asymmetry.TWO_AXES): (
        "no axis of symmetry|without any axis of symmetry|lack any axis of symmetry|biaxial",
        "biaxially asymmetric|no line of symmetry|no plane of symmetry",
    ),
    ("border", Border.REGULAR): (
        "unbroken|regelmaßig|regelmaßige|regelmaßiger|regelmassig|regelmassige|regelmassiger",
        "smooth edged|smooth bordered|evenly bordered|regularly bordered",
    ),
    ("border", Border.SLIGHTLY_IRREGULAR): (
        "wavy|undulating|undulated|wavering|bumpy border|wobbly",
    ),
    ("border", Border.IRREGULAR): (
        "unregelmaßig|unregelmaßige|unregelmaßiger|unregelmassig|unregelmassige|unregelmassiger",
        "irreg|unregular",
    ),
    ("border", "strong"): (
        "jagged|jaggedy|notched|notch|notching|indented|indentation|scalloped",
        "scalloping|scallop|ragged",
        "raggedy|serrated|spiky|spiked|moth eaten|crenated|geographic|angulated",
        "lobulated border|gezackt|zackig|zackige|zackiger|raggedly|jaggedly|saw tooth|pseudopod",
        "erose|crenulated|festooned|zigzag",
    ),
    ("edge", Edge.WELL_DEFINED): (
        "well defined|well demarcated|well circumscribed|well delineated|well delimited",
        "clear cut|sharply demarcated|sharply defined|sharply circumscribed|sharply marginated",
        "circumscribed|clearly defined|clearly demarcated|cleanly defined|sharply delineated",
        "sharply bordered|clear demarcation|sharp demarcation|clear edged|crisply defined",
        "well marginated|sharp cut off|sharp cutoff|abrupt|abruptly|end abruptly",
        "cut off abruptly|cut off sharply|stop sharply|stop abruptly|stand out sharply",
        "end sharply|sharply cut off|abrupt cut off|scharf begrenzt|scharf begrenzte",
        "scharfer begrenzung|scharfe begrenzung|sharply cut|sharply outlined|clearly outlined",
        "distinctly outlined|clearly delineated|distinctly defined|demarcated|delineated",
        "clean cut|sharply limited|well limited|neatly defined|scharfrandig",
        "clearly circumscribed|sharply separated|clearly separated|sharply begrenzt",
        "abrupt ending|clear transition|sharp transition|abrupt transition",
    ),
    ("edge", Edge.FADING): (
        "ill defined|poorly defined|poorly demarcated|ill demarcated|poorly circumscribed",
        "blurred|blurry|blur|blurring|fade|fading|fade out|fade away|fade off|faded edge",
        "indistinct|blend into|blend in|blend with|blending into|blending with|blend gradually",
        "blend smoothly|merge with|merge into|merge gradually|merging with|merging into",
        "melt into|indistinctly|gradually merge|gradual transition|gradually fade|dissolve",
        "dissolving|fuzzy|verschwommen|verwaschen|unsharp|vague|vaguely defined",
        "badly defined|loosely defined",
        "weakly defined|not well defined|fade gradually|unscharf|unscharf begrenzt|unscharfe",
        "unscharfer|undefined|ill circumscribed|smudged|smudgy|poorly delineated",
        "poorly marginated|ill delineated|soft transition|smooth transition|softly merge",
        "bleed into|trail off|taper off|peter out|gradually lighten|thin out|washed out",
        "poor demarcation|lack of demarcation|weakly demarcated|feathered|feathery|hazy",
        "diffusely|not clearly defined|not sharply defined|not sharply demarcated",
        "not well demarcated|bleeding into|less defined|less well defined|less clearly defined",
        "gradual fading|ill defined edge|not well circumscribed|fading out|faint at the edge",
        "unscharf begrenzte|fades out",
    ),
    ("colour", Colour.WHITE): (
        "white|whitish|off white|milky white|pearly white|chalky white|porcelain white",
        "ivory white|weiß|weiße|weißer|weißes|weißlich|weißliche|weiss|weisse|weisslich",
        "weissliche|whiteness|milky|porcelain|snow white",
    ),
    ("colour", Colour.RED): (
        "red|reddish|pink|pinkish|erythematous|erythema|redness|crimson|scarlet|ruby|rosy",
        "maroon|pinkish red|reddish pink|pink red|cherry red|bright red|dark red|brick red",
        "light red|rot|pale pink|salmon pink|salmon|rose colored|rose|rotlich|rotliche|rosa",
        "rote|roter|roten|light pink|blood red|wine red|deep red|ruby red|salmon colored",
        "rotlicher|beefy red",
    ),
    ("colour", Colour.LIGHT_BROWN): (
        "light brown|lighter brown|pale brown|tan|beige|fawn|honey brown|honey colored|caramel",
        "light tan|tan colored|tan brown|brownish tan|yellowish brown|yellow brown|hellbraun",
        "hellbraune|hellbrauner|hellbraunes|light brownish|pale tan|light shade of brown|sandy",
        "lighter shade of brown|lighter tone of brown|light tone of brown|café au lait",
        "soft brown|cafe au lait|beige brown|faint brown|faintly brown|golden brown|hellbraunen",
        "dark tan|lt brown|caramel brown|caramel colored|tawny|sand colored|beige colored",
        "light hue of brown|khaki",
    ),
    ("colour", Colour.DARK_BROWN): (
        "dark brown|darker brown|deep brown|chocolate|chocolate brown|chocolate colored",
        "dk brown|dunkelbraun|dunkelbraune|dunkelbrauner|dunkelbraunes|dark brownish",
        "dark shade of brown|darker shade of brown|darker tone of brown|dark tone of brown",
        "deeper brown|umber|sepia|very dark brown|coffee brown|coffee colored|espresso",
        "blackish brown|rich brown|mahogany|deep dark brown|dunkelbraunen|darkish brown",
        "dark hue of brown|dark chocolate|dark coffee",
    ),
    ("colour", BROWN): (
        "brown|brownish|medium brown|mid brown|reddish brown|brown red|red brown|braun|braune",
        "brauner|braunes|braunlich|moderate brown|midbrown|medium brownish|braunen|hazel",
        "medium shade of brown|medium tone of brown|chestnut|chestnut brown|middle brown",
    ),
    ("colour", "both browns"): (
        "light and dark brown|light to dark brown|dark and light brown|dark to light brown",
        "lighter and darker brown|various shade of brown|different shade of brown",
        "varying shade of brown|multiple shade of brown|several shade of brown",
        "varied shade of brown|two shade of brown|lighter and darker shade of brown",
        "darker and lighter shade of brown|light or dark brown|light dark brown",
        "light and dark shade of brown|dark and light shade of brown|hell und dunkelbraun",
        "hell bis dunkelbraun|light as well as dark brown|light brown to dark brown",
        "lighter to darker brown|mixed shade of brown|range of brown|multiple brown",
        "various brown",
    ),
    ("colour", LIGHTER): ("lighter|paler",),
    ("colour", DARKER): ("darker",),
    ("colour", Colour.BLUE_GRAY): (
        "blue gray|bluish gray|blue|bluish|gray|grayish|gray blue|grayish blue|slate|slate blue",
        "slate gray|slate colored|steel blue|steel gray|ash gray|ashen|navy|navy blue|dark blue",
        "light blue|dark gray|light gray|blaugrau|graublau|blau|blaulich|grau|graulich|blaue",
        "graue|blaugraue|pale blue|deep blue|ashy gray|leaden|gunmetal|blaulich grau|pale gray",
        "dusky blue|slaty|blue grayish|steely blue|blauer|grauer|blaugrauer",
    ),
    ("colour", "blue and white"): (
        "blue white veil|blue whitish veil|bluish white veil|whitish blue veil|white blue veil",
        "blue white structure|blue white|blue whitish",
    ),
    ("colour", Colour.BLACK): (
        "black|jet black|blackish|ebony|ink black|inky black|coal black|pitch black",
        "brownish black|schwarz|schwarze|schwarzer|schwarzes|schwarzlich|inky|schwarzen",
        "bluish black|deep black|black colored|tar black|coal colored|nearly black|almost black",
    ),
    ("pattern", ColourPattern.UNIFORM): (
        "monochrome|monochromatic|unicolor|unicolored|single colored|one colored|all one color",
        "single color|one color|same color|uniformly|homogeneously|homogenously|evenly colored",
        "evenly pigmented|color is even|solid color|solidly|einfarbig|1 color|only one color",
        "homogen|monotone|monotonous|monochromic|only 1 color|single hue|single shade|one shade",
        "evenly distributed color|evenly distributed pigment|same color throughout",
        "one uniform color|even in color|single tone|solid|unvarying|even pigmentation",
        "even color|one hue",
    ),
    ("pattern", ColourPattern.TWO_TONE): (
        "two tone|two toned|bicolor|bicolored|two color|two colored|two distinct color",
        "dual tone|two different color|two main color|2 color|2 tone|two shade",
        "two distinct shade|two hue|two different shade|zweifarbig|bichromatic|dual colored",
        "dual toned|2 different color|2 distinct color|two separate color|duotone",
        "two principal color|bitonal|two tonal",
    ),
    ("pattern", WEAK_VARIEGATED): (
        "irregularly pigmented|unevenly pigmented|irregularly colored|unevenly colored",
        "variably pigmented|patchily pigmented",
    ),
    ("pattern", ColourPattern.VARIEGATED): (
        "variegated|variegation|more than one color|mottled|mottling|multicolored|multicolor",
        "polychromatic|mehrfarbig|multi colored|multiple color|several color|many color",
        "various color|three color|3 color|four color|4 color|five color|5 color|six color",
        "6 color|multiple distinct color|marbled|several distinct color|different color",
        "several different color|many different color|multiple different color",
        "various different color|polychrome|polychromic|wide range of color|variety of color",
        "range of color|multiple hue|several hue|multichromatic|three distinct color",
        "array of color|color variation|color variegation|multiple shade|heterogeneous",
        "heterogenous|heterogeneously|heterogenously|heterogeneity|multitude of color",
        "spectrum of color|bunt|pigment variation|pigmentary variation|variation in color",
        "color variability|mix of color|variation in pigmentation|variability of color",
        "variability in color|variation of color|four distinct color|tricolor|tricolored",
        "multi color|color heterogeneity|mixture of color|patchwork of color|non uniform",
        "nonuniform|inhomogeneous|varied color|varying color|non homogeneous|nonhomogeneous",
        "three different color|four different color|mottle|many shade|varicolored|dappled",
        "blotchy|speckled|color change|combination of color",
    ),
    ("label", Label.BENIGN): (
        "benign|gutartig|gutartige|gutartiger|gutartiges|noncancerous|harmless",
    ),
    ("label", Label.MALIGNANT): (
        "malignant|cancerous|malignancy|bosartig|bosartige|bosartiger|bosartiges|skin cancer",
        "cancer",
    ),
    ("diagnosis", Diagnosis.NEVUS): (
        "nevus|melanocytic nevus|blue nevus|nevocellular nevus|navus|navi",
    ),
    ("diagnosis", Diagnosis.SEBORRHEIC_KERATOSIS): (
        "seborrheic keratosis|seborrheic wart|seborrhoic keratosis|seb keratosis|seb k",
        "seborrheic ker|seborrhoische keratose|seborrheal keratosis|verruca seborrhoica",
        "seborrheic keratose",
    ),
    ("diagnosis", Diagnosis.SOLAR_LENTIGO): (
        "solar lentigo|actinic lentigo|senile lentigo|lentigo solaris|lentigo senilis|age spot",
        "sun spot|sunspot|liver spot|solare lentigo",
    ),
    ("diagnosis", Diagnosis.DERMATOFIBROMA): (
        "dermatofibroma|fibrous histiocytoma|histiocytoma|dermatofibrom",
    ),
    ("diagnosis", Diagnosis.VASCULAR_LESION): (
        "vascular lesion|angioma|hemangioma|cherry angioma|angiokeratoma|pyogenic granuloma",
        "spider nevus|cherry hemangioma|hamangiom|angiom|port wine stain|venous lake",
        "spider angioma|vascular tumor|vascular tumour|vascular malformation|nevus flammeus",
        "vascular growth",
    ),
    ("diagnosis", Diagnosis.MELANOMA): (
        "melanoma|melanoma in situ|lentigo maligna|lentigo maligna melanoma|melanom",
        "superficial spreading melanoma|nodular melanoma|acral lentiginous melanoma",
    ),
    ("diagnosis", Diagnosis.BASAL_CELL_CARCINOMA): (
        "basal cell carcinoma|bcc|basalioma|basaliom|basal cell cancer|rodent ulcer",
        "basalzellkarzinom|basal cell ca|basal cell epithelioma",
    ),
    ("diagnosis", Diagnosis.SQUAMOUS_CELL_CARCINOMA): (
        "squamous cell carcinoma|scc|squamous cell cancer|squamous carcinoma|bowen disease",
        "bowens disease|bowen's disease|squamous cell ca|plattenepithelkarzinom|spinaliom",
        "morbus bowen|scc in situ",
    ),
    ("modality", Modality.DERMOSCOPIC): (
        "dermoscopic|dermoscopy|dermoscopically|dermatoscopic|dermatoscopy|dermatoscopically",
        "dermatoscope|dermoscope|dermatoskopisch|dermatoskopie|dermoskopie|auflichtmikroskopie",
        "epiluminescence|epiluminescent|dermatoskop|polarized light|polarised light",
        "dermoskopisch|auflichtmikroskopisch|dermatoskopische|dermatoskopisches|dermascope",
        "dermascopy|dermascopic",
    ),
    ("modality", Modality.CLINICAL): (
        "clinical photograph|clinical photo|clinical image|clinical picture",
        "clinical photography|clinical close up|clinical view|photographed clinically",
        "clinical closeup|macroscopic photo|close up clinical|macroscopic image",
        "macroscopic photograph|macroscopic picture|klinisches foto|macroscopic view",
        "macroscopic|smartphone photo|smartphone picture|smartphone image|phone photo",
        "close up photograph|close up photo|naked eye|overview photo|clinical snapshot",
        "klinisches bild|cell phone photo|mobile phone photo|clinical shot|imaged clinically",
        "clinical overview|smartphone photograph|phone picture|close up picture|clinical foto",
        "macro photograph|macro photo|captured clinically|non dermoscopic|nondermoscopic",
        "unaided eye",
    ),
    ("site", Site.HEAD_NECK): (
        "head|neck|face|facial|scalp|cheek|forehead|nose|nasal|ear|temple|chin|lip|eyelid|jaw",
        "kopf|hals|gesicht|wange|stirn|nase|ohr|eyebrow|nape|back of the neck|nape of the neck",
        "earlobe|head or neck|head and neck|side of the neck|jawline|auricle|pinna|perioral",
        "periorbital|kopfhaut|schlafe|nasal tip|nasal bridge|temporal region|lower eyelid",
        "upper eyelid|upper lip|lower lip|cranium|skull|back of the head|back of the ear",
        "head neck|back of neck",
    ),
    ("site", Site.CHEST): (
        "chest|breast|sternum|sternal|presternal|pectoral|brust|decollete|anterior thorax",
        "anterior chest",
    ),
    ("site", Site.ABDOMEN): (
        "abdomen|abdominal|belly|stomach|tummy|umbilicus|periumbilical|navel|bauch|belly button",
    ),
    ("site", Site.BACK): (
        "back|upper back|lower back|rucken|scapula|scapular|shoulder blade|interscapular",
        "mid back|posterior trunk|posterior torso|dorsal trunk|lumbar|loin|oberer rucken",
        "unterer rucken|shoulderblade|posterior thorax",
    ),
    ("site", Site.UPPER_EXTREMITY): (
        "upper extremity|arm|forearm|upper limb|upper arm|hand|wrist|elbow|shoulder|finger",
        "thumb|unterarm|oberarm|schulter|dorsum of the hand|back of the hand|dorsal hand",
        "back of my hand|back of hand|dorsum of hand|knuckle|lower arm|back of the arm",
        "handrucken|ellbogen|deltoid|back of his hand|back of her hand|upper extremitie",
        "antecubital|biceps",
    ),
    ("site", Site.LOWER_EXTREMITY): (
        "lower extremity|leg|lower limb|thigh|calf|shin|knee|ankle|foot|toe|lower leg|upper leg",
        "bein|oberschenkel|unterschenkel|wade|knie|fuß|dorsum of the foot|back of the knee",
        "back of the leg|back of the thigh|dorsal foot|fuss|schienbein|popliteal|back of my leg",
        "lower extremitie|back of the calf|back of my calf|back of my thigh|instep|pretibial",
        "back of her calf",
    ),
    ("site", Site.PALMS_SOLES): (
        "palm|palm of the hand|sole|sole of the foot|sole of his foot|sole of her foot|plantar",
        "palmar|sole of my foot|acral|volar|heel|fußsohle|fusssohle|handflache|palm or sole",
        "palm and sole|palm of my hand|palm of his hand|palm of her hand|sole of foot",
        "plantar foot|palmoplantar|acral skin|bottom of my foot|bottom of the foot|acral site",
        "underside of the foot|palm sole|acral skin of the palm or sole|sole of the left foot",
        "sole of the right foot|acral lesion|sole of my left foot|sole of my right foot",
        "palm of the left hand|palm of the right hand|sole of left foot|sole of right foot",
        "ball of the foot|acral location",
    ),
}
