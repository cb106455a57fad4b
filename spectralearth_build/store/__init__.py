"""The store: patches cut, encoded, written, committed, published, indexed and verified."""
