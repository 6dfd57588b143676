"""Lets `python local/torch` start the engine."""

from arkor_torch.cli import main

if __name__ == "__main__":
    main()
