"""``python -m ecgxai_core`` is the command line."""

from ecgxai_core.cli.main import main

if __name__ == "__main__":
    main()
