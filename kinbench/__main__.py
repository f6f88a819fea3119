"""``python -m kinbench``: the command line, where the script is not on the path."""

from kinbench.cli import main

if __name__ == "__main__":
    main()
