"""Print the table of wrong calls and their answers."""

from tests.errors.table import topics

for topic, rows in topics().items():
    print(f"\n{topic}\n{'=' * len(topic)}")
    for row in rows:
        print(f"\n>>> {row.call}\n{row.exception.__name__}: {row.message}")
