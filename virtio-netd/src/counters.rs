//! What happened, counted: every drop and every violation under its own reason.

netscheme::counters! {
    /// Frames handed up.
    RxFrames => "rx_frames",
    /// Their bytes, from the destination address on.
    RxBytes => "rx_bytes",
    /// Dropped: the device wrote fewer bytes than a header has.
    RxShortOfHeader => "rx_drop_short_of_header",
    /// Dropped: the frame is shorter than an Ethernet header.
    RxRunt => "rx_drop_runt",
    /// Dropped: its checksum is not computed, though that was not agreed on.
    RxCsumNotNegotiated => "rx_drop_csum_not_negotiated",
    /// Dropped: its checksum is not computed, and would lie outside the frame.
    RxCsumOutOfRange => "rx_drop_csum_out_of_range",
    /// Dropped: segments in one frame, though that was not agreed on.
    RxGsoNotNegotiated => "rx_drop_gso_not_negotiated",
    /// Dropped: segments of no size.
    RxGsoSizeZero => "rx_drop_gso_size_zero",
    /// Dropped: segments of a kind that the standard does not have.
    RxGsoUnknown => "rx_drop_gso_unknown",
    /// Tolerated: `num_buffers` is not 1, which says nothing without MRG_RXBUF.
    RxNumBuffersOdd => "rx_num_buffers_odd",
    /// Buffers that the queue did not take back. Each is gone until the next reset.
    RxNotReposted => "rx_not_reposted",
    /// Times that the device was told of receive buffers.
    RxDoorbells => "rx_doorbells",
    /// Frames handed to the device.
    TxFrames => "tx_frames",
    /// Their bytes, from the destination address on.
    TxBytes => "tx_bytes",
    /// Times that there was no room for a frame.
    TxFull => "tx_full",
    /// Dropped: the queue did not take the frame.
    TxNotPosted => "tx_drop_not_posted",
    /// Times that the device was told of frames to send.
    TxDoorbells => "tx_doorbells",
    /// Frames that the device had when it was reset: sent or lost, nobody knows.
    TxLostInReset => "tx_lost_in_reset",
    /// Times that the driver was woken by the device.
    Interrupts => "interrupts",
    /// Of these, times that there was nothing to do.
    Spurious => "interrupts_spurious",
    /// Of these, times that the device announced a change of its configuration.
    ConfigInterrupts => "interrupts_config",
    /// Times that the link went up or down.
    LinkChanges => "link_changes",
    /// Times that the configuration did not settle while it was read.
    ConfigUnsettled => "config_unsettled",
    /// Violations: what the device did to a queue that no honest device does.
    DeviceFaults => "device_faults",
    /// Times that the device asked to be reset.
    NeedsReset => "device_needs_reset",
    /// Times that the device was reset and brought up again.
    Resets => "resets",
}
