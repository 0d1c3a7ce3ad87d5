"""What a technician reads when Redis does not take a command."""

import pytest
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError, ResponseError

from visant_connector.admission import why

CALL = "Error running script (call to f_262cf03e): @user_script:58: @user_script: 58: -"
"""How Redis 6.2 wraps the error of a command that a script called."""


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "Redis is full"),
        (ResponseError(CALL + "OOM command not allowed when used memory > 'maxmemory'."), "Redis is full"),
        (ReadOnlyError("You can't write against a read only replica."), "read-only replica"),
        (ResponseError(CALL + "READONLY You can't write against a read only replica."), "read-only replica"),
        (ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "cannot write to the card"),
        (ResponseError(CALL + "MISCONF Errors writing to the AOF file"), "cannot write to the card"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "still loading"),
        (ConnectionRefusedError(), "cannot be reached"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_cause(error: Exception, word: str) -> None:
    text = why(error)
    assert word in text
    assert "\n" not in text
    assert "user_script" not in text
