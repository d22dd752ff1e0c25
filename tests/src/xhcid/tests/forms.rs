//! The JSON of every file, against literal texts.

use crate::xhcid::bus::Outcome;
use crate::xhcid::descriptors::parse_configuration;
use crate::xhcid::json::*;
use crate::xhcid::scripted::RndisSpec;

#[test]
fn a_configure_request_is_read() {
    let text = r#"{"config_desc":2,"interface_desc":1,"alternate_setting":0,"hub_ports":null}"#;
    let wanted = ConfigureEndpointsReq {
        config_desc: 2,
        interface_desc: Some(1),
        alternate_setting: Some(0),
        hub_ports: None,
    };
    assert_eq!(
        serde_json::from_str::<ConfigureEndpointsReq>(text).unwrap(),
        wanted
    );
    assert_eq!(serde_json::to_string(&wanted).unwrap(), text);
}

#[test]
fn a_device_request_is_read_and_makes_bm_request_type() {
    let text = r#"{"direction":"DeviceToHost","req_type":"Class","req_recipient":"Interface","request":1,"value":0,"index":0,"length":1025,"transfers_data":true}"#;
    let request: PortReq = serde_json::from_str(text).unwrap();
    assert_eq!(request.request_type(), 0xa1, "USB 2.0, table 9-2");
    assert_eq!(
        (request.request, request.length, request.transfers_data),
        (1, 1025, true)
    );
    let text = text
        .replace("DeviceToHost", "HostToDevice")
        .replace("Class", "Vendor");
    let request: PortReq = serde_json::from_str(&text.replace("Interface", "Other")).unwrap();
    assert_eq!(request.request_type(), 0x43);
}

#[test]
fn what_is_written_to_ctl_is_read() {
    let read = |text: &str| serde_json::from_str::<XhciEndpCtlReq>(text).unwrap();
    assert_eq!(
        read(r#"{"Transfer":{"direction":"NoData","count":0}}"#),
        XhciEndpCtlReq::Transfer {
            direction: XhciEndpCtlDirection::NoData,
            count: 0
        }
    );
    assert_eq!(
        read(r#"{"Reset":{"no_clear_feature":true}}"#),
        XhciEndpCtlReq::Reset {
            no_clear_feature: true
        }
    );
    assert_eq!(read(r#""Status""#), XhciEndpCtlReq::Status);
}

#[test]
fn what_is_read_from_ctl_is_written() {
    let write = |answer: XhciEndpCtlRes| serde_json::to_string(&answer).unwrap();
    let result = |outcome: Outcome| {
        write(XhciEndpCtlRes::TransferResult(PortTransferStatus {
            kind: outcome.into(),
            bytes_transferred: 64,
        }))
    };
    for (outcome, name) in [
        (Outcome::Success, "Success"),
        (Outcome::Short, "ShortPacket"),
        (Outcome::Stalled, "Stalled"),
        (Outcome::Failed, "Unknown"),
    ] {
        let text = format!(r#"{{"TransferResult":{{"kind":"{name}","bytes_transferred":64}}}}"#);
        assert_eq!(result(outcome), text);
    }
    assert_eq!(write(XhciEndpCtlRes::Pending), r#""Pending""#);
    assert_eq!(write(XhciEndpCtlRes::Idle), r#""Idle""#);
    assert_eq!(
        write(XhciEndpCtlRes::Status(EndpointStatus::Halted)),
        r#"{"Status":"Halted"}"#
    );
}

#[test]
fn a_configuration_is_taken_apart_and_its_endpoints_are_counted_through() {
    let bytes = RndisSpec::configuration(2, [2, 2, 0xff]);
    let configuration = parse_configuration(&bytes).unwrap();
    let text = concat!(
        r#"{"kind":2,"configuration_value":2,"configuration":null,"attributes":192,"max_power":50,"interface_descs":["#,
        r#"{"kind":4,"number":0,"alternate_setting":0,"class":2,"sub_class":2,"protocol":255,"interface_str":null,"endpoints":["#,
        r#"{"kind":5,"address":129,"attributes":3,"max_packet_size":16,"interval":8,"ssc":null,"sspc":null}],"unknown_descs":[]},"#,
        r#"{"kind":4,"number":1,"alternate_setting":0,"class":10,"sub_class":0,"protocol":0,"interface_str":null,"endpoints":["#,
        r#"{"kind":5,"address":130,"attributes":2,"max_packet_size":64,"interval":0,"ssc":null,"sspc":null},"#,
        r#"{"kind":5,"address":2,"attributes":2,"max_packet_size":64,"interval":0,"ssc":null,"sspc":null}],"unknown_descs":[]}"#,
        r#"],"unknown_descs":[]}"#,
    );
    assert_eq!(serde_json::to_string(&configuration).unwrap(), text);
    let addresses: Vec<u8> = configuration.endpoints().map(|of| of.address).collect();
    assert_eq!(addresses, [0x81, 0x82, 0x02]);
}

#[test]
fn a_descriptor_that_is_cut_off_or_has_no_length_ends_the_list() {
    let whole = RndisSpec::configuration(2, [2, 2, 0xff]);
    for length in 0..whole.len() {
        let endpoints = parse_configuration(&whole[..length]).map(|of| of.endpoints().count());
        assert!(endpoints.is_none_or(|count| count < 3), "{length}");
    }
    let mut looped = whole.clone();
    looped[9] = 0;
    assert_eq!(parse_configuration(&looped).unwrap().interface_descs, []);
}
