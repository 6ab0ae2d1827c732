"""Prints the pairs "A OP B" with which rpm disagrees."""
import sys
import rpm


def label(text):
    epoch, sep, rest = text.partition(":")
    if not sep:
        epoch, rest = "0", text
    version, _, release = rest.partition("-")
    return epoch, version, release


for line in sys.stdin:
    a, op, b = line.split()
    if rpm.labelCompare(label(a), label(b)) != {"<": -1, "=": 0}[op]:
        print(a, op, b)
