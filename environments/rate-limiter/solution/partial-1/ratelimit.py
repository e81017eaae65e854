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
        self.capacity = capacity
        self.refill_per_second = refill_per_second
        self.clock = clock
        self.buckets: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self.buckets)

    def check(self, key: str, cost: int = 1) -> Decision:
        now = self.clock()
        tokens, updated = self.buckets.get(key, (float(self.capacity), now))
        tokens = min(self.capacity, tokens + (now - updated) * self.refill_per_second)
        allowed = tokens >= cost
        retry_after = 0.0 if allowed else (cost - tokens) / self.refill_per_second
        if allowed:
            tokens -= cost
        self.buckets[key] = (tokens, now)
        return Decision(allowed, self.capacity, int(tokens), retry_after)
