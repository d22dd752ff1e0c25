//! What router discovery and its company count.

use crate::counters::counters;

counters! {
    /// What an adapter learned by itself about its IPv6 network, and why it dropped what it dropped.
    pub struct AutoconfCounters {
        /// Router Solicitations sent.
        rs_tx,
        /// Router Advertisements received.
        ra_rx,
        /// Router Advertisements that were valid, and taken.
        ra_rx_valid,
        /// Redirects received.
        redirect_rx,
        /// Dropped: a Redirect whose sender is not the first hop to that destination (RFC 4861 section 8.1).
        redirect_not_first_hop,
        /// Dropped: a Redirect to or about an address that cannot be (RFC 4861 section 8.1).
        redirect_bad_address,
        /// Dropped: an advertisement or Redirect with another hop limit than 255: it comes from afar.
        nd_rx_hop_limit,
        /// Dropped: an advertisement or Redirect from a source that is not link-local.
        nd_rx_bad_source,
        /// Dropped: an advertisement or Redirect whose checksum is wrong.
        nd_rx_bad_checksum,
        /// Dropped: an advertisement or Redirect with a code other than 0.
        nd_rx_bad_code,
        /// Dropped: an advertisement or Redirect that is too short.
        nd_rx_too_short,
        /// Dropped: an advertisement or Redirect with an option of length 0, or one that is cut short.
        nd_rx_bad_option,
        /// Passed over: an option whose length is not one that its kind has.
        option_bad_length,
        /// Passed over: an option that says what cannot be (a prefix, an MTU, a preference, a name).
        option_unusable,
        /// Passed over: a prefix that is not 64 bits long, in which no address is made (RFC 4862 section 5.5.3 (d)).
        prefix_not_64,
        /// Passed over: a preferred lifetime above the valid one (RFC 4862 section 5.5.3 (c)).
        prefix_bad_lifetimes,
        /// Held back: a valid lifetime that would have ended an address within two hours (RFC 4862 section 5.5.3 (e)).
        prefix_two_hours,
        /// Passed over: as many prefixes as there may be.
        prefix_table_full,
        /// Passed over: as many routers as there may be, all of them proven.
        router_table_full,
        /// Routers that gave way to others.
        router_evicted,
        /// Routers that did not answer (RFC 4861 section 7.3).
        router_unreachable,
        /// Passed over: as many routes of one router as there may be.
        route_table_full,
        /// Passed over: as many name servers or search domains as there may be, or as one router may have.
        resolver_table_full,
        /// Addresses in learned prefixes begun.
        address_begun,
        /// Addresses in learned prefixes, and temporary ones, whose valid lifetime ended.
        address_expired,
        /// Temporary addresses begun (RFC 8981).
        temporary_begun,
        /// Times that another network was found when the carrier returned.
        network_changed,
        /// Actions lost because nobody took them.
        actions_lost,
        /// Solicitations and DHCPv6 messages not sent: no room.
        tx_failed,
        /// DHCPv6 messages sent.
        dhcpv6_tx,
        /// DHCPv6 messages received.
        dhcpv6_rx,
        /// Dropped: not a well-formed DHCPv6 message.
        dhcpv6_rx_malformed,
        /// Dropped: another transaction, another client, no server, or a message that no one waits for.
        dhcpv6_rx_unexpected,
        /// Dropped: a reply that reports a failure.
        dhcpv6_rx_failure,
        /// Replies taken.
        dhcpv6_replies,
    }
}
