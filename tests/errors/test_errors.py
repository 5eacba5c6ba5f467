"""The table of wrong calls holds to the letter, on every device."""

from __future__ import annotations

import pytest

from tests.errors.table import Bad, topics

ROWS = [row for rows in topics().values() for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.call)
def test_the_answer_to_a_wrong_call(row: Bad, device):
    with pytest.raises(row.exception) as caught:
        row.run(device)
    assert str(caught.value) == row.message
    assert type(caught.value) is row.exception


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.call)
def test_a_message_starts_with_the_name_of_the_operation(row: Bad):
    named, said = (text.removeprefix("Tensor.") for text in (row.operation, row.message.partition(": ")[0]))
    assert said in (named, named.rstrip("_"))  # in place, the operation itself may speak


def test_the_tables_have_rows():
    assert all(topics().values())
    calls = [row.call for row in ROWS]
    assert len(calls) == len(set(calls))
