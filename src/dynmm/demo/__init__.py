"""The first ten minutes: fit, measure, recommend, and a report that tells what came out."""

from dynmm.demo.running import REPORT, RUN, Demo, run_demo

__all__ = ["REPORT", "RUN", "Demo", "run_demo"]
