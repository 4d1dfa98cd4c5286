"""PagerDuty: incidents as its V3 webhooks and its REST API tell of them."""

from ingestors.sources.pagerduty.source import PagerDutySource

__all__ = ["PagerDutySource"]
