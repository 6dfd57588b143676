"""The torch engine of arkor's local backend: a worker of docs/engine-protocol.md."""
