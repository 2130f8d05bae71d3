"""How long to wait after failures in a row: twice as long each time, up to a limit."""

MOST_DOUBLINGS = 60  # a float holds no 2**1024, which a store that is gone for hours would reach


def wait_after(failures: int, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after so many failures before this one."""
    return min(first_s * 2.0 ** min(failures, MOST_DOUBLINGS), longest_s)
