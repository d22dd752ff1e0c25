//! What is written to xhcid's files and read from them.

use serde::{Deserialize, Serialize};

/// Which way a control transfer's data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Direction {
    HostToDevice,
    DeviceToHost,
}

/// The type of a request (USB 2.0, table 9-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum RequestType {
    Standard,
    Class,
}

/// Whom a request is for (USB 2.0, table 9-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Recipient {
    Interface,
    Endpoint,
}

/// A control transfer, for the `request` file (USB 2.0, 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Request {
    pub(super) direction: Direction,
    pub(super) req_type: RequestType,
    pub(super) req_recipient: Recipient,
    pub(super) request: u8,
    pub(super) value: u16,
    pub(super) index: u16,
    pub(super) length: u16,
    pub(super) transfers_data: bool,
}

/// For the `configure` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Configure {
    pub(super) config_desc: u8,
    pub(super) interface_desc: Option<u8>,
    pub(super) alternate_setting: Option<u8>,
    pub(super) hub_ports: Option<u8>,
}

/// Which way a transfer of an endpoint goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum TransferDirection {
    In,
    Out,
}

/// What an endpoint's `ctl` file is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Command {
    /// So many bytes will go through the `data` file.
    Transfer {
        direction: TransferDirection,
        count: u32,
    },
    /// The endpoint is halted and is to work again.
    Reset { no_clear_feature: bool },
}

/// What an endpoint's `ctl` file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Answer {
    /// The transfer is over.
    TransferResult {
        kind: ResultKind,
        bytes_transferred: u32,
    },
    /// The transfer is not over.
    Pending,
    /// There is none.
    Idle,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum ResultKind {
    /// With all its bytes.
    Success,
    /// With fewer.
    ShortPacket,
    /// The endpoint is halted.
    Stalled,
    /// Otherwise.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_request_is_written_as_xhcid_reads_it() {
        let request = Request {
            direction: Direction::DeviceToHost,
            req_type: RequestType::Class,
            req_recipient: Recipient::Interface,
            request: 1,
            value: 0,
            index: 3,
            length: 1025,
            transfers_data: true,
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"direction":"DeviceToHost","req_type":"Class","req_recipient":"Interface","request":1,"value":0,"index":3,"length":1025,"transfers_data":true}"#
        );
    }

    #[test]
    fn a_configuration_without_an_alternate_setting_says_null_twice() {
        let configure = Configure {
            config_desc: 2,
            interface_desc: None,
            alternate_setting: None,
            hub_ports: None,
        };
        assert_eq!(
            serde_json::to_string(&configure).unwrap(),
            r#"{"config_desc":2,"interface_desc":null,"alternate_setting":null,"hub_ports":null}"#
        );
    }

    #[test]
    fn commands_are_tagged_outside() {
        let transfer = Command::Transfer {
            direction: TransferDirection::In,
            count: 16384,
        };
        assert_eq!(
            serde_json::to_string(&transfer).unwrap(),
            r#"{"Transfer":{"direction":"In","count":16384}}"#
        );
        let reset = Command::Reset {
            no_clear_feature: true,
        };
        assert_eq!(
            serde_json::to_string(&reset).unwrap(),
            r#"{"Reset":{"no_clear_feature":true}}"#
        );
    }

    #[test]
    fn answers_are_read_and_what_is_none_is_refused() {
        let read = |text: &str| serde_json::from_str::<Answer>(text).ok();
        assert_eq!(read(r#""Pending""#), Some(Answer::Pending));
        assert_eq!(read(r#""Idle""#), Some(Answer::Idle));
        assert_eq!(
            read(r#"{"TransferResult":{"kind":"ShortPacket","bytes_transferred":7}}"#),
            Some(Answer::TransferResult {
                kind: ResultKind::ShortPacket,
                bytes_transferred: 7
            })
        );
        for text in [
            "",
            "null",
            r#""Sleeping""#,
            r#"{"TransferResult":{"kind":"Late","bytes_transferred":7}}"#,
            r#"{"TransferResult":{"kind":"Success","bytes_transferred":-1}}"#,
            r#"{"Status":"Halted"}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
