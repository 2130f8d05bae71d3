"""The XMP packet: what others read in ours, and what we read in others'."""

import xml.etree.ElementTree as ET

import pytest

from pigeon_recsys.generation.png_text import BadProvenance
from pigeon_recsys.generation.xmp import COMPOSITE, GENERATED, read_source_type, write_packet

RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:o="urn:other">{}</r:RDF>'
    "</x:xmpmeta>"
)


@pytest.mark.parametrize("source_type", [GENERATED, COMPOSITE, "urn:a&b<c>"])
def test_what_is_written_is_read(source_type: str) -> None:
    assert read_source_type(write_packet(source_type)) == source_type


def test_a_general_xml_reader_finds_the_term_where_the_iptc_puts_it() -> None:
    root = ET.fromstring(write_packet(GENERATED))
    (found,) = root.iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert found.text == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ('<r:Description i:DigitalSourceType="urn:1"/>', "urn:1"),
        (
            "<r:Description><i:DigitalSourceType> urn:1 </i:DigitalSourceType>x</r:Description>",
            "urn:1",
        ),
        ("<r:Description><o:DigitalSourceType>urn:1</o:DigitalSourceType></r:Description>", None),
        ("<r:Description><i:DigitalSourceType/>urn:1</r:Description>", None),
        ("", None),
    ],
)
def test_the_packets_of_others_are_read_by_namespace(inside: str, found: str | None) -> None:
    assert read_source_type(RDF.format(inside)) == found


@pytest.mark.parametrize(
    ("packet", "fault"),
    [
        ("", "is no XML"),
        ("<a>", "is no XML"),
        ("\0", "is no XML"),
        ("\ud800", "is no XML"),
        ("<a>&nobody;</a>", "is no XML"),
        ("<!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>", "a document type, which is not read"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "a document type, which is not read"),
    ],
)
def test_a_hostile_packet_is_refused(packet: str, fault: str) -> None:
    with pytest.raises(BadProvenance, match=fault):
        read_source_type(packet)
