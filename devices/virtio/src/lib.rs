//! virtio 1.2 over PCI: transport, queues and the block device.
#![forbid(unsafe_code)]
