"""The mark of a synthetic image, put into a JPEG or a PNG without touching its pixels."""

import struct
import zlib

from backend.corpus.errors import CorpusError
from backend.generation.provenance import SYNTHETIC_XMP, XMP_KEY

XMP = SYNTHETIC_XMP.replace(' xmp:CreatorTool="DermaFlux Studio"', "").encode()
"""The digital source type alone: who made these images is said by their dataset."""
JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
APP1 = b"\xff\xe1"
IHDR_END = len(PNG_START) + 25
"""After the signature, and length, name, 13 bytes and checksum of the first chunk."""


def marked(data: bytes, name: str) -> bytes:
    """The same image with an XMP packet that calls it synthetic.

    Raises:
        CorpusError: it is neither JPEG nor PNG.
    """
    if data.startswith(JPEG_START):
        packet = JPEG_XMP + XMP
        segment = APP1 + struct.pack(">H", len(packet) + 2) + packet
        return JPEG_START + segment + data[len(JPEG_START) :]
    if data.startswith(PNG_START):
        return data[:IHDR_END] + _text_chunk() + data[IHDR_END:]
    raise CorpusError(f"The copy {name} is neither JPEG nor PNG: import its dataset again.")


def _text_chunk() -> bytes:
    """An iTXt chunk, not compressed, without language."""
    body = b"iTXt" + XMP_KEY.encode() + b"\0\0\0\0\0" + XMP
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
