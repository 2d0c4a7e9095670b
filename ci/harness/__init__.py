"""What the suites share: a running VM, its serial console, its clients."""
