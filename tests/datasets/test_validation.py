"""Every fault of a dataset folder, one test each, by its text; and all of them together."""

import os
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pigeon_recsys.datasets.validation import validate
from pigeon_recsys.errors import DatasetError

MakeFolder = Callable[..., Path]

PICTURE = "items.parquet, row index 1: image 'images/b.png'"
EVENT = "interactions.parquet, row index 2:"


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(DatasetError) as caught:
        validate(folder)
    return list(caught.value.faults)


def third(value: Any, other: Any) -> list[Any]:
    """Four values, the third of them special."""
    return [other, other, value, other]


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def test_a_sound_folder_is_returned(make_folder: MakeFolder) -> None:
    assert validate(make_folder()).item_ids == ("a", "b", "c")


def test_faults_of_every_file_are_reported_together(make_folder: MakeFolder) -> None:
    folder = make_folder(
        items={"item_id": ["a", "a", "c"]},
        interactions={"item_id": ["a", "a", "z", "a"]},
    )
    (folder / "images/c.png").write_bytes(b"")
    assert faults_of(folder) == [
        "items.parquet, row index 1: item_id 'a' was already used at row index 0. "
        "Give every item its own id.",
        f"{EVENT} item_id 'z' is not in the items table. Add the item, or drop the row.",
        "items.parquet, row index 2: image 'images/c.png' is an empty file. Replace it.",
    ]


def test_the_message_names_folder_count_and_faults(make_folder: MakeFolder) -> None:
    folder = make_folder(items={"item_id": ["a", "b", None]}, interactions={"item_id": ["a"] * 4})
    with pytest.raises(DatasetError) as caught:
        validate(folder)
    assert str(caught.value) == (
        f"{folder}: 1 fault\n"
        "  - items.parquet, row index 2: item_id is null. Fill it, or drop the row."
    )


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "nowhere") == [".: is no folder. Name a dataset folder."]


def test_a_missing_yaml(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "dataset.yaml").unlink()
    assert faults_of(folder) == ["dataset.yaml: does not exist. Add it, or name another folder."]


def test_a_missing_table(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "items.parquet").unlink()
    (folder / "interactions.parquet").unlink()
    assert faults_of(folder) == [
        "items.parquet: does not exist. Add it, or name another folder.",
        "interactions.parquet: does not exist. Add it, or name another folder.",
    ]


def test_a_table_that_is_a_folder(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "items.parquet").unlink()
    (folder / "items.parquet").mkdir()
    assert faults_of(folder) == ["items.parquet: cannot be read: Is a directory. Correct that."]


def test_a_table_outside_the_folder(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "items.parquet").rename(tmp_path / "items.parquet")
    (folder / "items.parquet").symlink_to(tmp_path / "items.parquet")
    assert faults_of(folder) == ["items.parquet: leads out of the folder. Copy the file into it."]


def test_a_table_that_is_not_parquet(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "items.parquet").write_text("item_id,name\na,cat\n")
    assert faults_of(folder) == [
        "items.parquet: is no parquet file. Write it with pandas or pyarrow."
    ]


def test_a_truncated_table(make_folder: MakeFolder) -> None:
    folder = make_folder()
    content = (folder / "items.parquet").read_bytes()
    (folder / "items.parquet").write_bytes(content[: len(content) // 2])
    (fault,) = faults_of(folder)
    assert fault.startswith("items.parquet: is damaged parquet: ")
    assert fault.endswith(" Write it again.")


def test_a_table_with_a_column_twice(make_folder: MakeFolder) -> None:
    folder = make_folder()
    table = pq.read_table(folder / "items.parquet")
    pq.write_table(table.append_column("name", table["name"]), folder / "items.parquet")
    assert faults_of(folder) == ["items.parquet: has 2 columns named 'name'. Keep one."]


def test_a_missing_column(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(items={"emotion": None})) == [
        "items.parquet: has no column 'emotion'; it has item_id, name, style, tags, image. "
        "Add it, or correct dataset.yaml."
    ]


def test_a_column_of_the_wrong_type(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(interactions={"user_id": [1, 2, 3, 4]})) == [
        "interactions.parquet: column 'user_id' must hold text, its type is int64. "
        "Convert it to strings."
    ]


def test_times_as_numbers_are_refused_because_their_unit_is_unknown(
    make_folder: MakeFolder,
) -> None:
    assert faults_of(make_folder(interactions={"timestamp": [1, 2, 3, 4]})) == [
        "interactions.parquet: column 'timestamp' must hold timestamps, or ISO 8601 text, "
        "its type is int64. Convert it to timestamps in UTC."
    ]


def test_an_attribute_of_the_wrong_type(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(items={"style": [b"x", b"y", b"z"]})) == [
        "items.parquet: column 'style' must hold text, numbers, booleans, or lists of them, "
        "its type is binary. Convert it, or take the column out of dataset.yaml."
    ]


def test_empty_tables(make_folder: MakeFolder) -> None:
    folder = make_folder()
    for name in ("items.parquet", "interactions.parquet"):
        pq.write_table(pq.read_table(folder / name).slice(0, 0), folder / name)
    assert faults_of(folder) == [
        "items.parquet: holds no rows. Add the items.",
        "interactions.parquet: holds no rows. Add the interactions.",
    ]


def test_an_empty_id(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(items={"item_id": ["a", "b", " "]}))[0] == (
        "items.parquet, row index 2: item_id is empty. Fill it, or drop the row."
    )


def test_an_id_of_generated_items(make_folder: MakeFolder) -> None:
    """The slot would look for it among the generated ones, and nobody could be shown it."""
    assert faults_of(make_folder(items={"item_id": ["a", "b", "gen-c"]}))[0] == (
        "items.parquet, row index 2: item_id 'gen-c' begins with 'gen-', as ids of generated "
        "items do. Give it another."
    )


def test_null_title_and_image(make_folder: MakeFolder) -> None:
    folder = make_folder(
        items={"name": ["cat", None, "cake"], "image": ["images/a.png", None, "images/c.png"]}
    )
    assert faults_of(folder) == [
        "items.parquet, row index 1: name is null. Fill it, or drop the row.",
        "items.parquet, row index 1: image is null. Fill it, or drop the row.",
    ]


def test_a_faulty_item_does_not_make_its_interactions_unknown(make_folder: MakeFolder) -> None:
    assert len(faults_of(make_folder(items={"name": ["cat", None, "cake"]}))) == 1


def test_a_missing_picture(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").unlink()
    assert faults_of(folder) == [f"{PICTURE} does not exist. Add the file, or drop the row."]


def test_a_picture_that_is_a_folder(make_folder: MakeFolder) -> None:
    folder = make_folder(items={"image": ["images/a.png", "images", "images/c.png"]})
    assert faults_of(folder) == [
        "items.parquet, row index 1: image 'images' is not a file. Name the picture itself."
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_picture_that_is_a_pipe_does_not_hang(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").unlink()
    os.mkfifo(folder / "images/b.png")
    assert faults_of(folder) == [f"{PICTURE} is not a file. Name the picture itself."]


def test_a_picture_path_that_climbs_out(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(items={"image": ["images/a.png", "images/../../b.png", "images/c.png"]})
    (folder / "images/b.png").rename(tmp_path / "b.png")
    assert faults_of(folder) == [
        "items.parquet, row index 1: image 'images/../../b.png' leads out of the folder. "
        "Copy the file into it."
    ]


def test_an_absolute_picture_path(make_folder: MakeFolder) -> None:
    folder = make_folder(items={"image": ["images/a.png", "/etc/hostname", "images/c.png"]})
    assert faults_of(folder) == [
        "items.parquet, row index 1: image '/etc/hostname' is an absolute path. "
        "Make it relative to the folder."
    ]


def test_a_picture_that_is_a_link_out_of_the_folder(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder()
    (folder / "images/b.png").rename(tmp_path / "b.png")
    (folder / "images/b.png").symlink_to(tmp_path / "b.png")
    assert faults_of(folder) == [f"{PICTURE} leads out of the folder. Copy the file into it."]


def test_a_link_inside_the_folder_is_followed(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").unlink()
    (folder / "images/b.png").symlink_to("a.png")
    assert validate(folder).pixels("b")[0, 0, 0] == 0


def test_a_picture_path_with_a_zero_byte(make_folder: MakeFolder) -> None:
    folder = make_folder(items={"image": ["images/a.png", "images/\0.png", "images/c.png"]})
    assert faults_of(folder) == [
        r"items.parquet, row index 1: image 'images/\x00.png' is no usable path. Correct it."
    ]


def test_an_empty_picture_file(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").write_bytes(b"")
    assert faults_of(folder) == [f"{PICTURE} is an empty file. Replace it."]


def test_a_file_that_is_no_picture(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "images/b.png").write_text("<html>not found</html>")
    assert faults_of(folder) == [f"{PICTURE} is no PNG, JPEG or WebP picture. Replace it."]


def test_a_picture_in_another_format(make_folder: MakeFolder) -> None:
    """A GIF is a picture, but one of the many formats whose decoders stay closed."""
    folder = make_folder()
    Image.new("RGB", (4, 4)).save(folder / "images/b.png", "GIF")
    assert faults_of(folder) == [f"{PICTURE} is no PNG, JPEG or WebP picture. Replace it."]


def test_a_truncated_picture(make_folder: MakeFolder) -> None:
    folder = make_folder()
    noise = Image.effect_noise((64, 64), 90)
    noise.save(folder / "images/b.png", "JPEG")
    content = (folder / "images/b.png").read_bytes()
    (folder / "images/b.png").write_bytes(content[: len(content) // 2])
    (fault,) = faults_of(folder)
    assert fault.startswith(f"{PICTURE} cannot be decoded: image file is truncated")
    assert fault.endswith(". Replace it.")


@pytest.mark.parametrize("side", [4097, 12_000, 60_000])
def test_a_picture_larger_than_the_bound_is_not_decoded(make_folder: MakeFolder, side: int) -> None:
    """Pillow takes the first, warns of the second and refuses the third."""
    folder = make_folder()
    (folder / "images/b.png").write_bytes(png_claiming(side, side))
    assert faults_of(folder) == [
        f"{PICTURE} holds more than the 16777216 pixels that are read. Make it smaller."
    ]


def test_a_picture_of_sixteen_bits(make_folder: MakeFolder) -> None:
    folder = make_folder()
    Image.new("I;16", (4, 4), 40_000).save(folder / "images/b.png")
    assert faults_of(folder) == [f"{PICTURE} has more than 8 bits a channel. Save it with 8."]


def test_an_unknown_item(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(interactions={"item_id": third("z", "a")})) == [
        f"{EVENT} item_id 'z' is not in the items table. Add the item, or drop the row."
    ]


def test_null_ids_of_an_interaction(make_folder: MakeFolder) -> None:
    folder = make_folder(interactions={"user_id": third(None, "u"), "item_id": third(None, "a")})
    assert faults_of(folder) == [
        f"{EVENT} user_id is null. Fill it, or drop the row.",
        f"{EVENT} item_id is null. Fill it, or drop the row.",
    ]


def test_a_null_time(make_folder: MakeFolder) -> None:
    times = third(None, datetime(2025, 1, 1, tzinfo=UTC))
    assert faults_of(make_folder(interactions={"timestamp": times})) == [
        f"{EVENT} timestamp is null. Give the time, or drop the row."
    ]


def test_a_time_that_cannot_be_parsed(make_folder: MakeFolder) -> None:
    times = third("last Tuesday", "2025-01-01")
    assert faults_of(make_folder(interactions={"timestamp": times})) == [
        f"{EVENT} timestamp 'last Tuesday' is no ISO 8601 time. Write it like 2025-01-31T12:00:00Z."
    ]


def test_a_time_before_1990(make_folder: MakeFolder) -> None:
    """Milliseconds read as microseconds end up in 1970."""
    times = third(datetime(1970, 1, 21, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    assert faults_of(make_folder(interactions={"timestamp": times})) == [
        f"{EVENT} timestamp 1970-01-21T00:00:00+00:00 is before 1990. "
        "Check its unit, or drop the row."
    ]


def test_a_time_in_the_far_future(make_folder: MakeFolder) -> None:
    times = third("2100-01-01T00:00:00Z", "2099-12-31T23:59:59Z")
    assert faults_of(make_folder(interactions={"timestamp": times})) == [
        f"{EVENT} timestamp '2100-01-01T00:00:00Z' is after 2099. Check its unit, or drop the row."
    ]


def test_an_unknown_event(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(interactions={"event": third("liek", "like")})) == [
        f"{EVENT} event 'liek' is not an event of dataset.yaml, which knows like, skip. "
        "List it under positive, negative or neutral."
    ]


def test_a_null_event(make_folder: MakeFolder) -> None:
    assert faults_of(make_folder(interactions={"event": third(None, "like")})) == [
        f"{EVENT} event is null. Fill it, or drop the row."
    ]


@pytest.mark.parametrize(
    ("rating", "fault"),
    [
        (float("nan"), "rating nan is not a finite number. Correct it, or drop the row."),
        (float("inf"), "rating inf is not a finite number. Correct it, or drop the row."),
        (None, "rating is null. Fill it, or drop the row."),
    ],
)
def test_a_rating_that_is_no_number(
    rating_folder: Path, rewrite: Callable[..., None], rating: float | None, fault: str
) -> None:
    rewrite(rating_folder / "interactions.parquet", rating=third(rating, 4.0))
    assert faults_of(rating_folder) == [f"{EVENT} {fault}"]


def test_ratings_as_text(rating_folder: Path, rewrite: Callable[..., None]) -> None:
    rewrite(rating_folder / "interactions.parquet", rating=["5", "5", "5", "5"])
    assert faults_of(rating_folder) == [
        "interactions.parquet: column 'rating' must hold numbers, its type is string. "
        "Convert it to floats."
    ]


def test_the_list_is_cut_off_but_not_the_count(make_folder: MakeFolder) -> None:
    """Nine unknown items: five are printed, all nine are kept."""
    nine = {"user_id": ["u"] * 9, "item_id": [f"z{n}" for n in range(9)], "event": ["like"] * 9}
    folder = make_folder(interactions=nine | {"timestamp": ["2025-01-01"] * 9})
    with pytest.raises(DatasetError) as caught:
        validate(folder)
    assert len(caught.value.faults) == 9
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{folder}: 9 faults"
    assert len(lines) == 7
    assert "row index 4: item_id 'z4'" in lines[5]
    assert lines[6] == "  - and 4 more faults of kind `unknown item`"


def test_the_result_holds_each_fault_as_data(make_folder: MakeFolder) -> None:
    folder = make_folder(interactions={"item_id": third("z", "a")})
    with pytest.raises(DatasetError) as caught:
        validate(folder)
    assert caught.value.result == {
        "folder": str(folder),
        "faults": [
            {
                "kind": "unknown item",
                "file": "interactions.parquet",
                "row": 2,
                "value": "'z'",
                "text": "item_id 'z' is not in the items table. Add the item, or drop the row.",
            }
        ],
    }
