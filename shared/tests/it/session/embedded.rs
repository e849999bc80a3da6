//! What only the store of a single process can be asked.
