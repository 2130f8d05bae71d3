"""The XMP packet that tells any program how a picture was made, in the terms of the IPTC.

In:  a term of IPTC's list of digital source types.
Out: an XMP packet; or the term that a packet names, which may come from anywhere.

A packet with a document type is refused, so no entity is ever expanded and nothing is fetched.
"""

from xml.parsers import expat
from xml.sax.saxutils import escape

from pigeon_recsys.generation.png_text import BadProvenance

XMP_KEY = "XML:com.adobe.xmp"  # of the PNG's iTXt chunk
TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = TERMS + "trainedAlgorithmicMedia"  # a model made the picture
COMPOSITE = TERMS + "compositeWithTrainedAlgorithmicMedia"  # a sheet: made and given pictures
IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
SOURCE_TYPE = f"{IPTC_EXTENSION} DigitalSourceType"  # as expat names it
PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="{extension}">
   <xmp:CreatorTool>pigeon-recsys</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def write_packet(source_type: str) -> str:
    """Return the packet that names a digital source type; the same for the same, always."""
    return PACKET.format(extension=IPTC_EXTENSION, source_type=escape(source_type))


def read_source_type(packet: str) -> str | None:
    """Return the digital source type that a packet names, None where it names none.

    Raises `BadProvenance` for what is no XML or has a document type.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(packet.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as exc:
        raise BadProvenance(f"holds an XMP packet that is no XML ({exc})") from exc
    return reader.found.strip() or None


class _Reader:
    """Collects the property, which RDF lets stand in an element or in an attribute."""

    def __init__(self) -> None:
        self.found = ""
        self._is_inside = False
        self.parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse(self, *_: object) -> None:
        raise BadProvenance("holds an XMP packet with a document type, which is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._is_inside = name == SOURCE_TYPE and not self.found
        self.found = self.found or attributes.get(SOURCE_TYPE, "")

    def _end(self, _name: str) -> None:
        self._is_inside = False

    def _text(self, text: str) -> None:
        if self._is_inside:
            self.found += text
