"""`make bench-cloud`: what a fleet costs the cloud, beside a bare application that does the same durable steps.

Cloud, floor, PostgreSQL, Redis and each fleet of devices are processes of their own on this machine's loopback. A
figure and its floor are of the same run, and triggers are sent to both in turn, for the machine may have other work.
A table, and as the last line all of it as JSON. SHORT=1 is the short form; BENCH_CELLS names some of the cells.
"""

import sys

if __name__ == "__main__":  # every fleet's process imports this module, and needs nothing of the rest
    from tests.bench.cloud.run import main

    sys.exit(main())
