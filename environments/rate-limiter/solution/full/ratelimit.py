"""A token bucket per client."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Waiting exactly `retry_after` must suffice although the refill is floating point.
SLACK = 1e-9


@dataclass(frozen=True)
class Decision:
    """The answer to one check; `retry_after` is in seconds, 0.0 when allowed."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: float


@dataclass
class Bucket:
    tokens: float
    updated: float


class RateLimiter:
    """Token buckets by key, each full at first, refilled continuously by an injected clock."""

    def __init__(
        self,
        capacity: int,
        refill_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_keys: int = 10_000,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        if not refill_per_second > 0:
            raise ValueError(f"refill_per_second must be above 0, not {refill_per_second}")
        if max_keys < 1:
            raise ValueError(f"max_keys must be at least 1, not {max_keys}")
        self.capacity = capacity
        self.refill_per_second = refill_per_second
        self.max_keys = max_keys
        self._clock = clock
        self._now = float("-inf")
        # Ordered by the last check, so the first is the one to forget.
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._next_sweep = float("-inf")
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._buckets)

    def check(self, key: str, cost: int = 1) -> Decision:
        """Take `cost` tokens from the bucket of `key`, or none if it has fewer."""
        if not 1 <= cost <= self.capacity:
            raise ValueError(f"cost must be between 1 and {self.capacity}, not {cost}")
        with self._lock:
            # The highest reading so far: a clock that steps back adds nothing.
            self._now = max(self._now, self._clock())
            bucket = self._bucket(key)
            bucket.tokens = self._tokens(bucket)
            bucket.updated = self._now
            missing = cost - bucket.tokens
            if missing <= SLACK:
                bucket.tokens = max(0.0, bucket.tokens - cost)
                return Decision(True, self.capacity, int(bucket.tokens + SLACK), 0.0)
            retry_after = missing / self.refill_per_second
            return Decision(False, self.capacity, int(bucket.tokens + SLACK), retry_after)

    def _tokens(self, bucket: Bucket) -> float:
        added = (self._now - bucket.updated) * self.refill_per_second
        return min(float(self.capacity), bucket.tokens + added)

    def _bucket(self, key: str) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        if len(self._buckets) >= self.max_keys:
            self._forget()
        bucket = self._buckets[key] = Bucket(float(self.capacity), self._now)
        return bucket

    def _forget(self) -> None:
        """Drop the full buckets; if there are none, the one checked longest ago.

        Sweeping at every new key would make a flood of invented keys quadratic. No bucket that
        is short of tokens now can be full before `_next_sweep`, so until then there is none.
        """
        if self._now >= self._next_sweep:
            wait = float("inf")
            for key, bucket in list(self._buckets.items()):
                missing = self.capacity - self._tokens(bucket)
                if missing <= SLACK:
                    del self._buckets[key]
                else:
                    wait = min(wait, (missing - SLACK) / self.refill_per_second)
            self._next_sweep = self._now + min(wait, (1 - SLACK) / self.refill_per_second)
        if len(self._buckets) >= self.max_keys:
            self._buckets.popitem(last=False)
