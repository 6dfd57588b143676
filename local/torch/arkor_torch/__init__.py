"""The torch engine of arkor's local backend: a worker that speaks the protocol of
docs/engine-protocol.md."""
