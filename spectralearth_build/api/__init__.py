"""The functions that `spectralearth_build` exports: what the commands do, called from Python.

The command line calls these functions too, so both check, lock and write in the same way. Nothing heavy is imported
until a function is called. Import the functions from `spectralearth_build`, not from here.
"""
