//! Virtqueues and the virtio PCI transport.
