//! What happened, counted: every drop and every violation under its own reason.

netscheme::counters! {
    /// Frames handed up.
    RxFrames => "rx_frames",
    /// Their bytes, from the destination address on.
    RxBytes => "rx_bytes",
    /// Dropped: where a message had to begin there was something else.
    RxNoMessage => "rx_drop_no_message",
    /// Dropped: a message shorter than its own header, or longer than a transfer.
    RxMessageLength => "rx_drop_message_length",
    /// Dropped: the frame would lie in its message's header, outside its message, or beyond 2^32.
    RxDataRange => "rx_drop_data_range",
    /// Dropped: the out-of-band data would.
    RxOutOfBandRange => "rx_drop_out_of_band_range",
    /// Dropped: the per-packet information would.
    RxPacketInfoRange => "rx_drop_packet_info_range",
    /// Dropped: the frame is shorter than an Ethernet header.
    RxRunt => "rx_drop_runt",
    /// Dropped: the frame is longer than the network's frames.
    RxTooLong => "rx_drop_too_long",
    /// Dropped: the transfer ended in the middle of the message, and the next began with another.
    RxCut => "rx_drop_cut",
    /// Dropped: messages, or a part of one, that were there when the adapter was reset.
    RxLostInReset => "rx_lost_in_reset",
    /// Tolerated: messages in a transfer beyond the number that was agreed on.
    RxPacketsOverAgreed => "rx_packets_over_agreed",
    /// Bytes passed over in search of the next message.
    RxGarbageBytes => "rx_garbage_bytes",
    /// Bytes between a message's last part and the next message.
    RxPaddingBytes => "rx_padding_bytes",
    /// Frames handed to the device.
    TxFrames => "tx_frames",
    /// Their bytes, from the destination address on.
    TxBytes => "tx_bytes",
    /// Transfers that they made.
    TxTransfers => "tx_transfers",
    /// Bytes between and behind them, as the device wants them aligned and USB its transfers ended.
    TxPaddingBytes => "tx_padding_bytes",
    /// Messages sent on the control channel, repeated ones included.
    ControlSent => "control_sent",
    /// Of these, those sent once more because there was no answer, or not the right one.
    ControlRepeated => "control_repeated",
    /// Times that the device was asked for a response.
    ControlAsked => "control_asked",
    /// Of these, times that it had none.
    ControlNothing => "control_nothing",
    /// Control transfers that the device stalled, or that were lost.
    ControlStalled => "control_stalled",
    /// Commands that never got an answer.
    ControlNoAnswer => "control_no_answer",
    /// Commands that were answered with a status other than success.
    ControlRefused => "control_refused",
    /// Dropped: a response too short for a message, or shorter than it says.
    ControlLength => "control_drop_length",
    /// Dropped: a response that is no message, or not the one that answers the command.
    ControlType => "control_drop_type",
    /// Dropped: a response with a request id that is not the command's.
    ControlRequestId => "control_drop_request_id",
    /// Dropped: a response whose buffer would lie in its header, outside of it, or beyond 2^32.
    ControlBufferRange => "control_drop_buffer_range",
    /// Ignored: an answer whose buffer does not hold what was asked for.
    ControlBufferLength => "control_drop_buffer_length",
    /// Ignored: an address that no station can own.
    ControlBadAddress => "control_drop_address",
    /// Ignored: an MTU with which no network works.
    ControlBadMtu => "control_drop_mtu",
    /// Times that the device told of something by itself.
    Indications => "indications",
    /// Of these, those that this driver does not know.
    IndicationsUnknown => "indications_unknown",
    /// Times that the device was asked whether it lives.
    KeepAlivesSent => "keepalives_sent",
    /// Times that the device asked, and was answered.
    KeepAlivesAnswered => "keepalives_answered",
    /// Times that the link went up or down.
    LinkChanges => "link_changes",
    /// Times that the device was reset.
    Resets => "resets",
    // The daemon.
    /// Transfers that came from the bulk-IN endpoint.
    RxTransfers => "rx_transfers",
    /// Of these, those that brought nothing.
    RxTransfersEmpty => "rx_transfers_empty",
    /// Dropped: a frame longer than any transfer that the device takes.
    TxTooLong => "tx_drop_too_long",
    /// Times that there was no room for a frame.
    TxFull => "tx_full",
    /// Transfers that the device has taken, all or a part of.
    TxTransfersEnded => "tx_transfers_ended",
    /// Of these, transfers of which the device took a part only.
    TxCut => "tx_transfers_cut",
    /// Of these, transfers that were lost because the endpoint was halted.
    TxHalted => "tx_transfers_halted",
    /// Times that the device has halted an endpoint.
    Halts => "halts",
    /// Transfers that came from the interrupt endpoint.
    Notifications => "notifications",
    /// Times that the timer let the driver look at endpoints of which xhcid does not tell.
    Polls => "polls",
    /// Of these, times that there was nothing.
    PollsFruitless => "polls_fruitless",
}
