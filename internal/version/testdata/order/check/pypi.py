"""Prints the pairs "A OP B" with which packaging disagrees."""
import sys
from packaging.version import Version

for line in sys.stdin:
    a, op, b = line.split()
    x, y = Version(a), Version(b)
    if not (x < y if op == "<" else x == y):
        print(a, op, b)
