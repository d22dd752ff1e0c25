//! How the network daemons meet Redox.
