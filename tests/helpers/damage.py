"""What becomes of files on disks and in editors."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
PIECES = (b"", b"NaN", b"1e999", b"-1", b"null", b"[]", b"{}", b'""', b"\xff", b"true", b"\x00", b"\n", b",", b'"')


def harmed(content: bytes) -> st.SearchStrategy[bytes]:
    """Draw what becomes of a file: pieces replaced, cut out, doubled, or the rest lost."""

    @st.composite
    def one(draw: st.DrawFn) -> bytes:
        harmed = bytearray(content)
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(harmed)))
            stop = draw(st.integers(start, min(len(harmed), start + 40)))
            doubled = st.just(bytes(harmed[start:stop]) * 2)
            harmed[start:stop] = draw(st.one_of(st.binary(max_size=8), doubled, st.sampled_from(PIECES)))
        return bytes(harmed[: draw(st.sampled_from([len(harmed), draw(st.integers(0, len(harmed)))]))])

    return one()
