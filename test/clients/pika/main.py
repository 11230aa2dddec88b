"""A program that tests a broker with pika: takes key=value arguments, prints one JSON object per line."""

import sys

import core
import patterns
import restart
from options import Options, report

SCENARIOS = {"core": core.run, "patterns": patterns.run, "publish": restart.publish, "drain": restart.drain}


def main():
    options = Options(sys.argv[1:])
    SCENARIOS[options.scenario](options)
    report(event="done")


main()
