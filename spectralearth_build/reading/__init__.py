"""Reading of single rows of a patch array, from files and object stores."""
