from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.labels.years import YEAR_RULES, year_for


@pytest.mark.parametrize(
    ("years", "own", "nearest", "before", "same"),
    [
        ({2021, 2023}, 2022, 2021, 2021, None),  # equally near: the earlier
        ({2021, 2023}, 2023, 2023, 2023, 2023),
        ({2018}, 2025, 2018, 2018, None),
        ({2024, 2026}, 2022, 2024, None, None),
        (set(), 2022, None, None, None),
        ({2020, 2024}, 2023, 2024, 2020, None),
    ],
)
@pytest.mark.parametrize("day", [(1, 1), (7, 2), (12, 31)])
def test_the_calendar_year_decides(years, own, nearest, before, same, day):
    acquired = datetime(own, *day, tzinfo=UTC)
    assert [year_for(years, acquired, rule) for rule in YEAR_RULES] == [nearest, before, same]
    assert year_for(years, acquired) == nearest


@given(st.sets(st.integers(1990, 2040)), st.integers(2000, 2030))
def test_nothing_allowed_is_nearer(years, own):
    acquired = datetime(own, 6, 1, tzinfo=UTC)
    for rule, allowed in (
        ("nearest", years),
        ("before", {y for y in years if y <= own}),
        ("same", years & {own}),
    ):
        found = year_for(years, acquired, rule)
        assert (found is None) == (not allowed)
        if found is not None:
            assert found in allowed
            assert all((abs(y - own), y) >= (abs(found - own), found) for y in allowed)
