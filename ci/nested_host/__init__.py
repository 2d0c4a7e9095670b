"""The nested host: a Linux machine under QEMU's software CPU whose /dev/kvm is complete (AMD SVM)."""
