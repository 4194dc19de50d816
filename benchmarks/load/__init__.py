"""What the load benchmarks share: a synthetic shop, a server with a no-op beside it, and clients."""
