//! What only the store in Redis can be asked.
