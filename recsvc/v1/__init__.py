"""The messages and stubs of the service; generated from `proto/` by `make proto`."""
