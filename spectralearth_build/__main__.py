"""``spectralearth-build``, and ``python -m spectralearth_build``."""

from spectralearth_build.cli.program import main

if __name__ == "__main__":
    main()
