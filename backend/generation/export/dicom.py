"""DICOM: VL Photographic and Dermoscopic Photography images of nobody.

Modules and attribute types after DICOM PS3.3, A.32.4 (VL Photographic Image) and A.32.11
(Dermoscopic Photography Image). Pixels are kept as they are: 8-bit RGB without compression. UIDs
are derived from the id of the image (PS3.5, B.2), so that an image has the same ones in every
export, and equal images give equal files.
"""

import io
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from backend.abc.attributes import Modality, Site
from backend.exports.rows import METADATA, json_bytes
from backend.files import new_file, write_file
from backend.generation.export.records import ExportRecord
from backend.images import read_image

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
STUDIO = "DermaFlux Studio"
NOTICE = "Synthetic. No patient. Not for diagnosis."
DERIVATION = "Computed by a generative model from a caption; no camera and no patient."
UID_NAMESPACE = uuid.UUID("6f2b5a52-7a3e-5d0c-9b43-1d1f6c0e8a71")
Code = tuple[str, str]
SKIN: Code = ("39937001", "Skin")
SITES: Mapping[Site, Code] = {
    Site.HEAD_NECK: ("774007", "Head and Neck"),
    Site.CHEST: ("816094009", "Chest"),
    Site.ABDOMEN: ("818981001", "Abdomen"),
    Site.BACK: ("77568009", "Back"),
    Site.UPPER_EXTREMITY: ("53120007", "Upper limb"),
    Site.LOWER_EXTREMITY: ("61685007", "Lower limb"),
}
"""SNOMED CT; it has no one code for palms and soles, which count as skin."""
SHORT, LONG = 1024, 10_240
"""Characters that the value representations ST and LT hold."""


def write_dicom(folder: Path, records: Iterable[ExportRecord]) -> None:
    """`<id>.dcm`, each with Synthetic Data = YES, beside `metadata.jsonl`.

    Raises:
        FileError: disk full or any other refusal of the file system.
    """
    with new_file(folder / METADATA) as lines:
        for record in records:
            file = folder / f"{record.image.id}.dcm"
            write_file(file, encode_dicom(record))
            lines.write(json_bytes(record.row(file.name)) + b"\n")


def encode_dicom(record: ExportRecord) -> bytes:
    """The DICOM file of an image, with its preamble and file meta information."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dermoscopic = record.image.requested.modality is Modality.DERMOSCOPIC
    dataset = Dataset()
    _add_instance(dataset, record, DERMOSCOPIC if dermoscopic else PHOTOGRAPHIC)
    _add_nobody(dataset, record)
    _add_series(dataset, record, "DMS" if dermoscopic else "XC")
    _add_image(dataset, record)
    if dermoscopic:
        _add_dermoscopy(dataset)
    _add_pixels(dataset, record)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def derived_uid(*names: str) -> str:
    """A UID that is the same for the same names, and for no others."""
    return f"2.25.{uuid.uuid5(UID_NAMESPACE, ':'.join(names)).int}"


def _add_instance(dataset: "Dataset", record: ExportRecord, sop_class: str) -> None:
    """SOP Common, and the equipment that made the image up."""
    from pydicom.dataset import Dataset

    provenance, request = record.provenance, record.image.request
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = derived_uid("image", record.image.id)
    dataset.SyntheticData = "YES"
    maker = Dataset()
    maker.PurposeOfReferenceCodeSequence = [_code("109100", "Synthesizing Equipment", "DCM")]
    maker.Manufacturer = STUDIO
    maker.ManufacturerModelName = _word(record.image.model)
    maker.ContributionDescription = (
        f"Model SHA-256 {provenance.model_hash}, seed {record.image.seed}, {request.steps} steps, "
        f"guidance {request.guidance_scale}, attribute guidance {request.attribute_guidance or 0}, "
        f"{provenance.scheduler}, {provenance.precision}"
    )[:SHORT]
    dataset.ContributingEquipmentSequence = [maker]
    dataset.Manufacturer = STUDIO
    dataset.ManufacturerModelName = _word(record.image.model)
    dataset.DeviceSerialNumber = _word(provenance.model_hash)
    libraries = sorted(provenance.libraries.items())
    dataset.SoftwareVersions = [STUDIO, *(_word(f"{name} {value}") for name, value in libraries)]


def _add_nobody(dataset: "Dataset", record: ExportRecord) -> None:
    """Patient and study: a run of the model, and visibly nobody."""
    dataset.PatientName = "Synthetic^No Patient"
    dataset.PatientID = f"SYNTHETIC-{record.image.job_id}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.PatientComments = NOTICE
    dataset.StudyInstanceUID = derived_uid("study", record.image.job_id)
    dataset.StudyDate = record.image.created_at.strftime("%Y%m%d")
    dataset.StudyTime = ""
    dataset.StudyID = ""
    dataset.StudyDescription = NOTICE
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def _add_series(dataset: "Dataset", record: ExportRecord, modality: str) -> None:
    dataset.Modality = modality
    dataset.SeriesInstanceUID = derived_uid("series", record.image.job_id, modality)
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = NOTICE
    dataset.Laterality = ""


def _add_image(dataset: "Dataset", record: ExportRecord) -> None:
    """General Image, VL Image and Acquisition Context; nothing was acquired."""
    image = record.image
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = DERIVATION
    dataset.InstanceNumber = image.position + 1
    dataset.PatientOrientation = ""
    dataset.ContentDate = image.created_at.strftime("%Y%m%d")
    dataset.ContentTime = image.created_at.strftime("%H%M%S.%f")
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.ImageComments = image.caption[:LONG]
    site = image.requested.site
    dataset.AnatomicRegionSequence = [_code(*(SITES.get(site, SKIN) if site else SKIN))]
    dataset.AcquisitionContextSequence = []


def _add_dermoscopy(dataset: "Dataset") -> None:
    """Dermoscopic Image: there was no dermoscope, so what is known of it is nothing."""
    dataset.RecognizableVisualFeatures = "NO"
    dataset.LightSourcePolarization = ""
    dataset.EmitterColorTemperature = None
    dataset.ContactMethod = ""
    dataset.OpticalMagnificationFactor = None


def _add_pixels(dataset: "Dataset", record: ExportRecord) -> None:
    """Image Pixel: 8-bit RGB, by pixel; the length of a value is even."""
    pixels = read_image(record.png, name=record.image.path.name)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    values = pixels.tobytes()
    dataset.PixelData = values + b"\0" * (len(values) % 2)


def _word(text: str) -> str:
    """As the value representation LO takes it: 64 characters, no separator of values."""
    return text.replace("\\", "/")[:64]


def _code(value: str, meaning: str, scheme: str = "SCT") -> "Dataset":
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = scheme
    code.CodeMeaning = meaning
    return code
