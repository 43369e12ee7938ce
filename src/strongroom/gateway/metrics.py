"""Metrics: what Prometheus may read of a gateway. Routes and states; no identifier, name or address of anybody.

Read at a loopback port of its own, never where clients come in.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from strongroom.gateway.fold import Fold

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counts of one gateway."""

    def __init__(self, fold: Fold) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "strongroom_gateway_requests", "Answers, by route and status.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "strongroom_gateway_seconds",
            "Time until an answer was out, by route.",
            ("route",),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self.connections = self._gauge("connections", "Connections of clients.")
        state = self._gauge("keep_open", "1 if the keep said at the last look that it is open.")
        state.set_function(lambda: float(fold.is_fresh() and fold.status.get("state") == "open"))
        tampered = self._gauge("log_tampered", "1 if another log was shown than the one that was verified.")
        tampered.set_function(lambda: float(fold.is_tampered()))
        self._gauge("fold_entries", "Entries in the verified copy.").set_function(
            lambda: float(fold.view.size if fold.view is not None else 0)
        )
        self._gauge("fold_age_seconds", "Age of the verified copy; -1 if there is none.").set_function(
            lambda: fold.view.age_seconds if fold.view is not None else -1.0
        )
        self._gauge("journal_entries", "Entries that the keep said it has.").set_function(
            lambda: float(size) if isinstance(size := fold.status.get("size"), int) else 0.0
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all of it in the text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"strongroom_gateway_{name}", text, registry=self._registry)
