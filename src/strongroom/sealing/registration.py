"""Registration: what a keep checks of a version before a log names it, with no more of the manifest than a header.

Apart from `manifest`, so that the keep need not hold a parser of manifests.
"""

from strongroom.sealing import keys
from strongroom.sealing.floe_header import HeaderParameters, check_header
from strongroom.terms.errors import ManifestTampered, ObjectTampered, WrongKey

SMALLEST_SEGMENT_BYTES, LARGEST_SEGMENT_BYTES = 1 << 6, 1 << 24
"""The lengths of segments that a manifest may have."""


def check_data_key(data_key: bytes, seal_id: str, header: bytes) -> None:
    """Hold a data key against the FLOE header of the manifest's sealed part, without the rest of the manifest.

    FLOE commits to its key: the header's tag fits one key and one seal id.

    Raises:
        ManifestTampered: it states segments of a length that no manifest may have.
        WrongKey: it is no header, or one made with another data key or for another seal.
    """
    segment_bytes = int.from_bytes(header[2:6], "big")
    if not SMALLEST_SEGMENT_BYTES <= segment_bytes <= LARGEST_SEGMENT_BYTES:
        raise ManifestTampered(f"manifest: segments of {segment_bytes} bytes")
    key = keys.manifest_key(data_key, seal_id)
    try:
        check_header(HeaderParameters(segment_bytes=segment_bytes), key.key, key.aad, header)
    except ObjectTampered as error:
        raise WrongKey(
            f"the data key does not open the manifest of seal {seal_id}: {error.message}",
            hint="seal again, and register what that seal made",
        ) from error
