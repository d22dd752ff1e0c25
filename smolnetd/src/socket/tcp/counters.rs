//! What TCP counts.

use crate::counters::counters;

counters! {
    /// What TCP saw, and why it dropped what it dropped.
    pub struct TcpCounters {
        /// Segments received.
        segments_received,
        /// Segments that connections sent.
        segments_sent,
        /// Times that a flow was looked after: because it had something to send or because its time had come.
        served,
        /// Connections opened by us.
        active_opens,
        /// Connections whose handshake with a listener was completed.
        passive_opens,
        /// Dropped: cut short, lengths that lie, flags that exclude each other, a port 0.
        malformed,
        /// Dropped: wrong checksum.
        bad_checksum,
        /// Dropped: from or to an address that no connection can have: broadcast, multicast, unspecified, a SYN that
        /// claims to come from ourselves (RFC 1122 4.2.3.10).
        bad_address,
        /// Segments that neither a flow nor a listener waits for.
        no_flow,
        /// RSTs sent to such.
        refused,
        /// Dropped: for a listener, but neither SYN nor ACK nor RST.
        not_syn,
        /// Dropped: a SYN, or the last ACK of a handshake, for a listener whose accept queue is full.
        accept_queue_full,
        /// Dropped: a SYN for which there is no way back.
        no_route_back,
        /// SYN-ACKs sent, repetitions included.
        syn_acks,
        /// SYN-ACKs whose sequence number is a cookie: there was no room for another half-open connection.
        cookies_sent,
        /// Dropped: a SYN that was to be answered with a cookie, and its link was full.
        cookies_unsent,
        /// Connections that began with a cookie.
        cookies_accepted,
        /// ACKs that could have brought a cookie back, and did not.
        cookies_refused,
        /// Half-open connections whose last ACK never came.
        half_open_timeouts,
        /// Half-open connections that the peer reset.
        half_open_resets,
        /// Dropped: for a connection that has ended.
        after_end,
        /// Dropped: not what the connection's state allows.
        unexpected,
        /// Dropped: neither ACK nor SYN nor RST.
        no_ack,
        /// Challenged: acknowledges what was never sent.
        ack_of_unsent,
        /// Challenged: an acknowledgement from before the largest window (RFC 5961 5.2).
        ack_too_old,
        /// Dropped: an acknowledgement of what was acknowledged before, and nothing else.
        ack_old,
        /// Challenged: a RST in the window that is not exact (RFC 5961 3.2).
        rst_in_window,
        /// Dropped: a RST outside the window.
        rst_out_of_window,
        /// Acknowledged and dropped: old, or beyond the window.
        out_of_window,
        /// Dropped: came before its turn, when too much else had come so in pieces.
        too_many_holes,
        /// Dropped: came before its turn, and its connection had as much as it may hold.
        early_without_memory,
        /// Times that a connection forgot what had come before its turn: there was no memory left at all.
        forgotten_without_memory,
        /// Dropped: in order and in the window, but there was no memory left at all, and the program had not read what was
        /// there.
        dropped_without_memory,
        /// Writes that were cut short or had to wait because their connection had as much as it may hold.
        writes_without_memory,
        /// Connections reset: closed with something to deliver when there was no memory left at all.
        orphans_without_memory,
        /// Dropped: a RST in TIME-WAIT (RFC 1337).
        rst_in_time_wait,
        /// Challenged: a SYN in a connection (RFC 5961 4.2).
        syn_in_connection,
        /// Challenge ACKs sent.
        challenges,
        /// Challenge ACKs not sent: too soon after another.
        challenges_suppressed,
        /// Connections reset: data came after the socket was closed.
        data_after_close,
        /// Connections reset: the socket was closed with data unread.
        closed_unread,
        /// Acknowledgements that said that something was lost.
        losses,
        /// Times that a retransmission timer fired.
        retransmission_timeouts,
        /// Times that a peer whose window was closed was asked whether it still is.
        window_probes,
        /// Connection attempts that got no answer in time.
        connect_timeouts,
        /// Connections given up: nothing was heard of the peer for too long.
        retransmit_timeouts,
        /// Connections given up: closed, and no progress for too long.
        orphan_timeouts,
        /// Connections given up: closed, and not all delivered by the time that the socket had asked for.
        linger_timeouts,
        /// Connections given up: keep-alive probes were not answered.
        keep_alive_timeouts,
        /// Connections given up: too many closed ones had data to deliver.
        orphans_evicted,
        /// TIME-WAITs cut short: there were too many.
        time_wait_evicted,
        /// TIME-WAITs cut short by a new connection (RFC 1122 4.2.2.13).
        time_wait_reopened,
        /// ICMP errors that concerned a connection.
        icmp_errors,
        /// ICMP errors that quoted a sequence number not on its way (RFC 5927).
        icmp_not_in_flight,
        /// Connections that were due at once again after they had been served.
        overdue,
    }
}

/// Why a segment was dropped: the counter it falls under.
pub type Reason = fn(&mut TcpCounters) -> &mut u64;
