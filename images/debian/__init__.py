"""Debian packages turned into bootable pieces: kernels, initramfs archives, root file systems."""
