"""A token bucket per client."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    allowed: bool
    limit: int
    remaining: int
    retry_after: float


class RateLimiter:
    def __init__(
        self,
        capacity: int,
        refill_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_keys: int = 10_000,
    ) -> None:
        if capacity < 1 or refill_per_second <= 0 or max_keys < 1:
            raise ValueError("capacity, refill_per_second and max_keys must be positive")
        self.capacity = capacity
        self.refill_per_second = refill_per_second
        self.clock = clock
        self.buckets: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self.buckets)

    def check(self, key: str, cost: int = 1) -> Decision:
        if not 1 <= cost <= self.capacity:
            raise ValueError(f"cost must be between 1 and {self.capacity}, not {cost}")
        now = self.clock()
        tokens, updated = self.buckets.get(key, (float(self.capacity), now))
        tokens = min(self.capacity, tokens + (now - updated) * self.refill_per_second)
        allowed = tokens >= cost
        retry_after = 0.0 if allowed else (cost - tokens) / self.refill_per_second
        if allowed:
            tokens -= cost
        self.buckets[key] = (tokens, now)
        return Decision(allowed, self.capacity, int(tokens), retry_after)
