"""``python -m da``: the command line."""

from da.cli import main

if __name__ == "__main__":
    main()
