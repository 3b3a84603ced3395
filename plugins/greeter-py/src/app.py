"""The small world that exists in every language, in Python. Documented in ../greeter/wit/greeter.wit."""

from typing import List, Optional

import wit_world


class WitWorld(wit_world.WitWorld):
    def greet(self, name: str, greeting: Optional[str]) -> str:
        # Not `or`: an empty greeting is a greeting.
        return f"{'Hello' if greeting is None else greeting}, {name}!"

    def greet_all(self, names: List[str]) -> List[str]:
        return [self.greet(name, None) for name in names]

    def add(self, a: int, b: int) -> int:
        # Python's integers do not wrap around by themselves.
        return (a + b + 2**31) % 2**32 - 2**31

    def language(self) -> str:
        return "Python"
