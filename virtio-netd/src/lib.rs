//! The virtio network driver.
