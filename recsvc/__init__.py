"""The online service: answers from one mapped snapshot over gRPC."""
