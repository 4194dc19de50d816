"""The offline job: from checked tables to a published snapshot."""
