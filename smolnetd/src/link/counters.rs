//! What one adapter counts.

use crate::counters::counters;

counters! {
    /// What one adapter saw, and why it dropped what it dropped.
    pub struct LinkCounters {
        /// Frames handed in by the adapter.
        rx_frames,
        /// Bytes of these frames, Ethernet header included.
        rx_bytes,
        /// IP packets handed on to the stack.
        rx_packets,
        /// Dropped: the adapter is down.
        rx_down,
        /// Dropped: shorter than an Ethernet header.
        rx_runt,
        /// Dropped: addressed to another station.
        rx_other_host,
        /// Dropped: the source is a group address.
        rx_group_source,
        /// Dropped: the source is our own address, so that it is a frame of ours that came back.
        rx_own_source,
        /// Dropped: an EtherType that nobody here speaks.
        rx_unknown_protocol,
        /// Dropped: the IP version is not the one that the EtherType says, or there is no IP header.
        rx_version_mismatch,
        /// Dropped: a packet to a unicast address in a broadcast or multicast frame (RFC 1122 section 3.3.6).
        rx_unicast_in_group_frame,
        /// Dropped: to a multicast group that nobody here has joined.
        rx_not_member,
        /// Frames sent.
        tx_frames,
        /// Bytes of these frames, Ethernet header included.
        tx_bytes,
        /// Refused: the adapter is down.
        tx_down,
        /// Refused: the adapter's transmit ring, or the loopback queue, is full.
        tx_full,
        /// Refused: larger than the MTU.
        tx_too_big,
        /// Refused: a next hop that cannot be resolved on this link.
        tx_unreachable,
        /// ARP packets received.
        arp_rx,
        /// Dropped: not an ARP packet for Ethernet and IPv4, or cut short.
        arp_rx_malformed,
        /// Dropped: a sender that cannot be one (group or null hardware address, or our own; broadcast, multicast or
        /// loopback protocol address).
        arp_rx_bad_sender,
        /// ARP requests for an address of ours, answered.
        arp_rx_requests_for_us,
        /// ARP replies received that answer a request of ours.
        arp_rx_replies,
        /// Others claimed an address of ours.
        arp_conflicts,
        /// ARP requests sent: broadcast.
        arp_tx_requests,
        /// ARP requests sent: unicast, to verify an entry.
        arp_tx_probes,
        /// ARP replies sent.
        arp_tx_replies,
        /// ARP announcements sent, and probes for an address newly added.
        arp_tx_announcements,
        /// ARP packets not sent: the adapter's transmit ring is full, and too many wait for it.
        arp_tx_full,
        /// Neighbour discovery messages received.
        ndp_rx,
        /// Dropped: a router's message, or to routers, while router discovery is off.
        ndp_rx_router_messages,
        /// Dropped: a hop limit other than 255, so that it may have come through a router.
        ndp_rx_bad_hop_limit,
        /// Dropped: checksum.
        ndp_rx_bad_checksum,
        /// Dropped: cut short, a code other than 0, or an option of length 0 or beyond the end.
        ndp_rx_malformed,
        /// Dropped: a source, destination or target that such a message cannot have (RFC 4861 section 7.1).
        ndp_rx_bad_address,
        /// Not believed: a link-layer address that cannot be another station's (group, null, our own), or a source that
        /// is our own.
        ndp_rx_bad_sender,
        /// Dropped: to, or about, an address that is not ours or may not be used yet.
        ndp_rx_not_for_us,
        /// Dropped: our own solicitation that came back (RFC 7527).
        ndp_rx_looped,
        /// Neighbour solicitations for an address of ours, answered.
        ndp_rx_solicitations_for_us,
        /// Neighbour advertisements about others.
        ndp_rx_advertisements,
        /// Others claimed an address of ours that had long been in use.
        ndp_conflicts,
        /// Neighbour solicitations sent: to the group.
        ndp_tx_solicitations,
        /// Neighbour solicitations sent: unicast, to verify an entry.
        ndp_tx_probes,
        /// Neighbour advertisements sent.
        ndp_tx_advertisements,
        /// Neighbour discovery messages not sent: the adapter's transmit ring is full, and too many wait for it.
        ndp_tx_full,
        /// Solicitations of duplicate address detection sent.
        dad_tx_solicitations,
        /// Addresses that turned out to be another's.
        dad_duplicates,
        /// MLD messages received.
        mld_rx,
        /// Dropped: not for us, malformed, or such as no router on this link sends (RFC 3810 section 6.2).
        mld_rx_ignored,
        /// MLD messages sent.
        mld_tx,
        /// MLD messages not sent: no room.
        mld_tx_full,
        /// IGMP messages received.
        igmp_rx,
        /// Dropped: malformed, or such as no router on this link sends (RFC 3376 section 9.1).
        igmp_rx_ignored,
        /// IGMP messages sent.
        igmp_tx,
        /// IGMP messages not sent: no room.
        igmp_tx_full,
        /// Groups that could not be joined: there are as many as may be.
        groups_full,
        /// Not learned: unsolicited, about a neighbour that we do not talk to, or one that is not on this link.
        neighbour_not_learned,
        /// Not believed at once: contradicting an entry, which is verified instead.
        neighbour_contradictions,
        /// Neighbours evicted to make room for others.
        neighbour_evicted,
        /// Neighbours that could not be taken in: the table is full of better ones.
        neighbour_table_full,
        /// Neighbours that did not answer.
        neighbour_failed,
        /// Packets dropped: their next hop did not answer.
        pending_unreachable,
        /// Packets dropped: more of them waited for one next hop than may; the oldest goes.
        pending_overflow,
        /// Packets refused: more of them wait on this adapter than may.
        pending_full,
        /// Packets dropped while waiting: the adapter went down, or the neighbour was evicted.
        pending_flushed,
        /// DHCP messages sent.
        dhcp_tx,
        /// DHCP messages not sent: no room, or the server cannot be reached.
        dhcp_tx_failed,
        /// DHCP replies received while the client is on.
        dhcp_rx,
        /// Dropped: not a well-formed DHCP reply.
        dhcp_rx_malformed,
        /// Dropped: another transaction, another client, or a message that no one waits for.
        dhcp_rx_unexpected,
        /// Dropped: an offer or acknowledgement that cannot be used (address, lease or server missing or absurd).
        dhcp_rx_unusable,
        /// NAKs obeyed.
        dhcp_naks,
        /// Leases obtained.
        dhcp_leases,
        /// Leases renewed.
        dhcp_renewals,
        /// Leases that ran out, were refused or were found to be in use by others.
        dhcp_leases_lost,
        /// Events lost because nobody took them.
        events_lost,
    }
}
