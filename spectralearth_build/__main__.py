"""``python -m spectralearth_build``."""

from spectralearth_build.cli import main

if __name__ == "__main__":
    main()
