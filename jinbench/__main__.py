"""`python -m jinbench`."""

from jinbench.cli.app import main

main()
