"""`make bench-alerts`: from a fault to the message about it, over a month of 300 cameras on a clock of its own.

The month goes through the alert engine and the plan of messages as the cloud's rounds use them, twice, with two seeds;
two days of ten cameras go over HTTP, with real streams, telemetry and webhooks. What goes wrong, how often, and where
the rates are from: mix.py. A table, and as the last line all of it as JSON. SHORT=1 is the short form, SEED another
month.
"""

import sys

if __name__ == "__main__":  # each process imports this module again
    from tests.bench.alerts.run import main

    sys.exit(main())
