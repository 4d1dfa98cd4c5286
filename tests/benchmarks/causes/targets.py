"""What has to be reached, and on which seeds. The values of the targets were written down before anything was
tuned and never moved; the lists of seeds grew once, before the first scored run was complete.
docs/decisions/0019 tells what was revised of the organisations, and when.

Tuning looks at ``TUNING`` only. ``SCORED`` is what is reported; nothing may be chosen by looking at it.
"""

TUNING = tuple(range(1, 17))
SCORED = tuple(range(101, 121))
#: Of ``SCORED`` the totals were seen before the scoring was revised; of these nothing was seen. Run once.
FRESH = tuple(range(201, 221))
#: When the scoring was revised again, the totals of both and their figures by sort had been seen; of these
#: nothing. Run once.
UNSEEN = tuple(range(301, 321))
#: When statistics of data came to count: looked at after a first attempt, so that the second was tuned on
#: them as well; and those of which nothing was seen, run once.
ALSO_TUNED = tuple(range(401, 421))
UNTOUCHED = tuple(range(501, 521))

#: Organisations whose runs fail, looked at by nobody before: failed runs were tuned on ``TUNING``. Run once.
BROKEN = tuple(range(601, 621))

#: Organisations that train every night, and small ones, by the numbers of their seeds; looked at by nobody
#: before, and nothing was tuned on such. Run once.
NIGHTLY_SEEDS = tuple(range(701, 721))
SMALL_SEEDS = tuple(range(801, 841))

#: Incidents, and failed runs, that are scored per organisation: 500 in all.
INCIDENTS = 25

#: Share of the incidents whose planted cause is named first, and among the first three.
TOP_1, TOP_3 = 0.80, 0.95
#: Named causes whose path or time order the store does not confirm.
UNPROVABLE = 0
#: The planted causes are hard to find where each of the baselines names fewer than this first.
BASELINE_BELOW = 0.50
#: Of the ten deployments that impact calls most at risk, how many the injected failure hit.
IMPACT_PRECISION_AT_10 = 0.80
