"""Gateway URLs: what a client and a gateway say to each other about where ciphertext is fetched and put.

POST /v1/versions/{id}/urls    AskUrls      VersionUrls
POST /v1/uploads               AskUploads   UploadUrls
POST /v1/uploads/parts         AskParts     PartUrls
"""

from __future__ import annotations

from typing import Annotated

from strongroom.terms.records import Count, Instant, Matches, ModelId, Natural, Record, SealId

MOST_URLS, MOST_OBJECTS, MOST_PARTS = 1000, 1000, 100
"""How many objects' URLs one answer has, to read and to write, and those of how many parts."""
LARGEST_MARK_BYTES = 1 << 16

ObjectName = Annotated[str, Matches("[A-Za-z0-9._/-]{1,800}", "the name of an object")]
Url = Annotated[str, Matches("[!-~]{1,8192}", "a URL")]
UploadId = Annotated[str, Matches("[A-Za-z0-9._~+/=-]{1,1024}", "an upload")]


class AskUrls(Record):
    """`first` is the number of the first object whose URL is asked for; the manifest's comes with any."""

    first: Count


class VersionUrls(Record):
    """How many objects the version has, and URLs by name: the manifest's, and at most 1,000 objects'."""

    objects: Count
    until: Instant
    urls: dict[ObjectName, Url]


class AskObject(Record):
    """An object that is to be written."""

    name: ObjectName
    size_bytes: Natural


class AskUploads(Record):
    """What is to be written for one seal of a model."""

    model: ModelId
    seal_id: SealId
    objects: tuple[AskObject, ...]


class Parted(Record):
    """How an upload in parts begins, and how large each part is but the last."""

    begin: Url
    part_bytes: Natural


class UploadUrls(Record):
    """Where each object is put, at once or in parts; and where the seal's manifest can be read back."""

    until: Instant
    urls: dict[ObjectName, Url]
    parted: dict[ObjectName, Parted]
    manifest: Url


class AskParts(Record):
    """Which parts of an upload are to be sent: at most 100 from the number `first` on; numbers begin at 1."""

    model: ModelId
    seal_id: SealId
    name: ObjectName
    size_bytes: Natural
    upload: UploadId
    first: Natural


class PartUrls(Record):
    """Where those parts are put, and how the upload ends."""

    until: Instant
    urls: tuple[Url, ...]
    finish: Url
    abort: Url
