"""Runs with a higher priority go first, whoever came first."""

from orchestrator.models import Token
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim


def test_a_higher_priority_is_claimed_first(house: House) -> None:
    plain = house.publish(document([step("a")]))
    urgent = house.publish(document([step("a")], settings={"priority": 50}))
    order = [
        house.start(plain),
        house.start(plain, priority=-100),
        house.start(urgent),
        house.start(plain, priority=100),
        house.start(urgent, priority=0),
    ]
    beat(1)
    claimed = [lease["run_id"] for lease in claim(1, 10)]
    assert claimed == [order[3], order[2], order[0], order[4], order[1]]
    assert set(Token.objects.values_list("priority", flat=True)) == {0, 50, 100, 200}
