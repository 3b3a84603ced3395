"""The functions that wit/plugin.wit promises. Names in snake_case; an error of the method is raised."""

from typing import Optional

import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    def greet(self, name: str, greeting: Optional[str]) -> str:
        return f"{'Hello' if greeting is None else greeting}, {name}!"

    def divide(self, a: int, b: int) -> int:
        if b == 0:
            raise Err("division by zero")
        quotient = abs(a) // abs(b) if (a < 0) == (b < 0) else -(abs(a) // abs(b))
        if quotient > 0x7FFFFFFF:
            raise Err("the result has more than 32 bits")
        return quotient
