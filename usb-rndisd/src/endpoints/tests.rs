//! Devices as they are, and as they should not be.

use super::*;

const CONTROL: Class = Class(0x02, 0x02, 0xff);
const DATA: Class = Class(0x0a, 0, 0);
const BULK: u8 = 2;
const INTERRUPT: u8 = 3;

fn endpoint(address: u8, attributes: u8, max_packet_size: u16) -> Endpoint {
    Endpoint {
        address,
        attributes,
        max_packet_size,
    }
}

fn interface(number: u8, class: Class, endpoints: &[Endpoint]) -> Interface {
    let Class(class, sub_class, protocol) = class;
    Interface {
        number,
        class,
        sub_class,
        protocol,
        endpoints: endpoints.to_vec(),
        ..Interface::default()
    }
}

fn pair() -> [Endpoint; 2] {
    [endpoint(0x81, BULK, 512), endpoint(0x01, BULK, 512)]
}

fn union(control: u8, subordinates: &[u8]) -> Extra {
    let mut bytes = vec![0, 0x24, 0x06, control];
    bytes.extend_from_slice(subordinates);
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    Extra { bytes }
}

fn device(interfaces: Vec<Interface>) -> Device {
    Device {
        configurations: vec![Configuration {
            value: 1,
            interfaces,
        }],
    }
}

fn pipe(number: u8, address: u8, packet_size: u16) -> Pipe {
    Pipe {
        number,
        address,
        packet_size,
    }
}

/// QEMU's usb-net as xhcid describes it, shortened by what nobody reads.
const QEMU: &str = r#"{"kind":1,"usb":512,"class":2,"sub_class":0,"protocol":0,"packet_size":64,"vendor":1317,"product":42146,"release":0,
"manufacturer_str":"QEMU","product_str":"RNDIS/QEMU USB Network Device","serial_str":"1",
"config_descs":[
 {"kind":2,"configuration_value":2,"configuration":"QEMU USB RNDIS Net","attributes":192,"max_power":50,"interface_descs":[
  {"kind":4,"number":0,"alternate_setting":0,"class":2,"sub_class":2,"protocol":255,"interface_str":"RNDIS Control",
   "endpoints":[{"kind":5,"address":129,"attributes":3,"max_packet_size":16,"interval":32,"ssc":null,"sspc":null}],
   "unknown_descs":[{"len":5,"kind":36,"all_bytes":[5,36,0,16,1]},{"len":5,"kind":36,"all_bytes":[5,36,1,0,1]},
    {"len":4,"kind":36,"all_bytes":[4,36,2,0]},{"len":5,"kind":36,"all_bytes":[5,36,6,0,1]}]},
  {"kind":4,"number":1,"alternate_setting":0,"class":10,"sub_class":0,"protocol":0,"interface_str":"Ethernet Data",
   "endpoints":[{"kind":5,"address":130,"attributes":2,"max_packet_size":64,"interval":0,"ssc":null,"sspc":null},
    {"kind":5,"address":2,"attributes":2,"max_packet_size":64,"interval":0,"ssc":null,"sspc":null}],"unknown_descs":[]}],
  "unknown_descs":[]},
 {"kind":2,"configuration_value":1,"configuration":"QEMU USB CDC Net","attributes":192,"max_power":50,"interface_descs":[
  {"kind":4,"number":0,"alternate_setting":0,"class":2,"sub_class":6,"protocol":0,"interface_str":"CDC Communications Control",
   "endpoints":[{"kind":5,"address":129,"attributes":3,"max_packet_size":16,"interval":32,"ssc":null,"sspc":null}],"unknown_descs":[]},
  {"kind":4,"number":1,"alternate_setting":0,"class":10,"sub_class":0,"protocol":0,"interface_str":null,"endpoints":[],"unknown_descs":[]},
  {"kind":4,"number":1,"alternate_setting":1,"class":10,"sub_class":0,"protocol":0,"interface_str":"Ethernet Data",
   "endpoints":[{"kind":5,"address":130,"attributes":2,"max_packet_size":64,"interval":0,"ssc":null,"sspc":null},
    {"kind":5,"address":2,"attributes":2,"max_packet_size":64,"interval":0,"ssc":null,"sspc":null}],"unknown_descs":[]}],
  "unknown_descs":[]}]}"#;

#[test]
fn qemus_adapter_is_used_by_its_first_configuration_whose_value_is_two() {
    let device: Device = serde_json::from_str(QEMU).unwrap();
    let choice = choose(&device, 0).unwrap();
    assert_eq!(
        choice,
        Choice {
            configuration: 2,
            control_interface: 0,
            data_interface: 1,
            alternate: None,
            notifications: Some(pipe(1, 0x81, 16)),
            bulk_in: pipe(2, 0x82, 64),
            bulk_out: pipe(3, 0x02, 64),
            function: 0,
        }
    );
    assert!(matches!(
        choose(&device, 1),
        Err(ChoiceError::NotRndis {
            interface: 1,
            class: DATA
        })
    ));
}

#[test]
fn every_class_that_speaks_rndis_is_bound_and_no_other() {
    for class in RNDIS_INTERFACES {
        let device = device(vec![interface(0, class, &[]), interface(1, DATA, &pair())]);
        let choice = choose(&device, 0).unwrap();
        assert_eq!(
            choice.notifications, None,
            "{class} may have no interrupt endpoint"
        );
    }
    for class in [
        Class(0x02, 0x06, 0),
        Class(0xe0, 0x01, 0x01),
        Class(0xef, 0x02, 0x01),
        Class(0xff, 0, 0),
    ] {
        let device = device(vec![interface(0, class, &[]), interface(1, DATA, &pair())]);
        let error = choose(&device, 0).unwrap_err();
        assert_eq!(
            error,
            ChoiceError::NotRndis {
                interface: 0,
                class
            }
        );
        assert_eq!(
            error.to_string(),
            format!(
                "interface 0 is {class} and does not speak RNDIS (02/02/ff, e0/01/03, ef/04/01, ef/01/01)"
            )
        );
    }
}

#[test]
fn the_count_of_endpoints_runs_through_a_phones_other_functions() {
    // Media transfer, the shared connection, and the debugger of an Android phone.
    let media = [
        endpoint(0x81, BULK, 512),
        endpoint(0x01, BULK, 512),
        endpoint(0x82, INTERRUPT, 28),
    ];
    let phone = device(vec![
        interface(0, Class(0x06, 0x01, 0x01), &media),
        interface(1, Class(0xe0, 0x01, 0x03), &[endpoint(0x83, INTERRUPT, 8)]),
        interface(
            2,
            DATA,
            &[endpoint(0x84, BULK, 512), endpoint(0x02, BULK, 512)],
        ),
        interface(
            3,
            Class(0xff, 0x42, 0x01),
            &[endpoint(0x03, BULK, 512), endpoint(0x85, BULK, 512)],
        ),
    ]);
    let choice = choose(&phone, 1).unwrap();
    assert_eq!((choice.control_interface, choice.data_interface), (1, 2));
    assert_eq!(choice.notifications, Some(pipe(4, 0x83, 8)));
    assert_eq!(
        (choice.bulk_in, choice.bulk_out),
        (pipe(5, 0x84, 512), pipe(6, 0x02, 512))
    );
    assert!(choose(&phone, 0).is_err() && choose(&phone, 3).is_err());
    assert_eq!(
        choose(&phone, 4),
        Err(ChoiceError::NoInterface { interface: 4 })
    );
}

#[test]
fn active_sync_puts_the_out_endpoint_first() {
    let handheld = device(vec![
        interface(0, Class(0xef, 0x01, 0x01), &[endpoint(0x81, INTERRUPT, 8)]),
        interface(
            1,
            DATA,
            &[endpoint(0x03, BULK, 64), endpoint(0x82, BULK, 64)],
        ),
    ]);
    let choice = choose(&handheld, 0).unwrap();
    assert_eq!(
        (choice.bulk_in, choice.bulk_out),
        (pipe(3, 0x82, 64), pipe(2, 0x03, 64))
    );
}

#[test]
fn the_union_descriptor_names_the_data_interface_wherever_it_is() {
    let mut control = interface(2, CONTROL, &[]);
    control.extras = vec![union(2, &[0])];
    let far = device(vec![
        interface(0, DATA, &pair()),
        interface(1, DATA, &pair()),
        control,
        interface(3, DATA, &pair()),
    ]);
    let choice = choose(&far, 2).unwrap();
    assert_eq!((choice.data_interface, choice.bulk_in.number), (0, 1));
}

#[test]
fn a_union_that_leads_nowhere_is_passed_over() {
    let lies = [
        union(7, &[3]),
        union(0, &[9]),
        union(0, &[0]),
        union(0, &[2]),
        union(0, &[]),
        Extra {
            bytes: vec![5, 0x24, 0x06, 0],
        },
        Extra {
            bytes: vec![0, 0x24, 0x06, 0, 2],
        },
        Extra {
            bytes: vec![200, 0x24, 0x06, 0],
        },
        Extra { bytes: vec![0x24] },
        Extra { bytes: vec![] },
    ];
    for lie in lies {
        let mut control = interface(0, CONTROL, &[]);
        control.extras = vec![lie.clone()];
        let device = device(vec![
            control,
            interface(1, DATA, &pair()),
            interface(2, DATA, &[]),
        ]);
        let choice = choose(&device, 0).unwrap_or_else(|error| panic!("{lie:?}: {error}"));
        assert_eq!(choice.data_interface, 1, "{lie:?}");
    }
}

#[test]
fn an_alternate_setting_is_asked_for_only_where_there_are_several() {
    let setting = |number, alternate_setting, endpoints: &[Endpoint]| Interface {
        alternate_setting,
        ..interface(number, DATA, endpoints)
    };
    let with_idle_setting = device(vec![
        interface(0, CONTROL, &[endpoint(0x83, INTERRUPT, 8)]),
        setting(1, 0, &[]),
        setting(1, 1, &pair()),
    ]);
    let choice = choose(&with_idle_setting, 0).unwrap();
    assert_eq!((choice.alternate, choice.bulk_in.number), (Some(1), 2));

    // xhcid sets both up, and the controller knows the later ring of the same address.
    let twice = device(vec![
        interface(0, CONTROL, &[]),
        setting(1, 0, &pair()),
        setting(1, 1, &pair()),
    ]);
    let choice = choose(&twice, 0).unwrap();
    assert_eq!(
        (
            choice.alternate,
            choice.bulk_in.number,
            choice.bulk_out.number
        ),
        (Some(1), 3, 4)
    );
}

#[test]
fn the_second_function_of_a_device_knows_that_it_is_the_second() {
    let two = device(vec![
        interface(0, CONTROL, &[]),
        interface(1, DATA, &pair()),
        interface(2, CONTROL, &[]),
        interface(
            3,
            DATA,
            &[endpoint(0x82, BULK, 512), endpoint(0x02, BULK, 512)],
        ),
    ]);
    assert_eq!(choose(&two, 0).unwrap().function, 0);
    let second = choose(&two, 2).unwrap();
    assert_eq!((second.function, second.bulk_in.number), (1, 3));
}

#[test]
fn without_a_usable_pair_of_bulk_endpoints_there_is_no_adapter() {
    let out = endpoint(0x01, BULK, 512);
    let broken: [(&str, Vec<Endpoint>); 8] = [
        ("no endpoints", vec![]),
        ("only one way", vec![out]),
        (
            "two ways in",
            vec![endpoint(0x81, BULK, 512), endpoint(0x82, BULK, 512)],
        ),
        ("packets of no size", vec![endpoint(0x81, BULK, 0), out]),
        (
            "no size but of the bits above",
            vec![endpoint(0x81, BULK, 0x1800), out],
        ),
        (
            "the control pipe's address",
            vec![endpoint(0x80, BULK, 512), out],
        ),
        (
            "interrupt in its place",
            vec![endpoint(0x81, INTERRUPT, 512), out],
        ),
        (
            "isochronous",
            vec![endpoint(0x81, 1, 512), endpoint(0x01, 1, 512)],
        ),
    ];
    for (what, endpoints) in broken {
        let device = device(vec![
            interface(0, CONTROL, &[]),
            interface(1, DATA, &endpoints),
        ]);
        assert_eq!(
            choose(&device, 0),
            Err(ChoiceError::NoBulkPair { interface: 1 }),
            "{what}"
        );
    }
}

#[test]
fn of_two_bulk_endpoints_in_the_first_is_taken() {
    let endpoints = [
        endpoint(0x81, BULK, 512),
        endpoint(0x82, BULK, 512),
        endpoint(0x01, BULK, 512),
    ];
    let device = device(vec![
        interface(0, CONTROL, &[]),
        interface(1, DATA, &endpoints),
    ]);
    let choice = choose(&device, 0).unwrap();
    assert_eq!((choice.bulk_in.address, choice.bulk_out.number), (0x81, 3));
}

#[test]
fn a_control_interface_alone_or_nothing_at_all_is_no_adapter() {
    let alone = device(vec![interface(0, CONTROL, &pair())]);
    assert_eq!(
        choose(&alone, 0),
        Err(ChoiceError::NoDataInterface { interface: 0 })
    );
    for empty in [Device::default(), device(vec![])] {
        assert_eq!(
            choose(&empty, 0),
            Err(ChoiceError::NoInterface { interface: 0 })
        );
    }
    let alternate = Interface {
        alternate_setting: 1,
        ..interface(0, CONTROL, &[])
    };
    let never_at_first = device(vec![alternate, interface(1, DATA, &pair())]);
    assert!(
        choose(&never_at_first, 0).is_err(),
        "xhcid starts drivers for setting 0 only"
    );
}

#[test]
fn a_later_configuration_is_used_when_the_first_has_no_such_function() {
    let mut device = device(vec![interface(0, Class(8, 6, 0x50), &pair())]);
    device.configurations.push(Configuration {
        value: 7,
        interfaces: vec![interface(0, CONTROL, &[]), interface(1, DATA, &pair())],
    });
    assert_eq!(choose(&device, 0).unwrap().configuration, 7);
}

#[test]
fn a_device_of_hundreds_of_interfaces_has_a_number_or_says_that_it_has_none() {
    let padding = |count: usize| {
        let mut interfaces = vec![interface(0, CONTROL, &[])];
        interfaces.extend((0..count).map(|_| interface(9, DATA, &[endpoint(0x85, INTERRUPT, 8)])));
        interfaces.push(interface(1, DATA, &pair()));
        let mut control = interfaces.remove(0);
        control.extras = vec![union(0, &[1])];
        interfaces.insert(0, control);
        device(interfaces)
    };
    let last = choose(&padding(253), 0).unwrap();
    assert_eq!((last.bulk_in.number, last.bulk_out.number), (254, 255));
    for count in [254, 255, 1000, 20_000] {
        assert_eq!(
            choose(&padding(count), 0),
            Err(ChoiceError::EndpointNumber),
            "{count}"
        );
    }
}

#[test]
fn descriptors_that_are_none_are_refused() {
    for text in [
        "",
        "null",
        "{}",
        r#"{"config_descs":null}"#,
        r#"{"config_descs":[{"configuration_value":256,"interface_descs":[]}]}"#,
        r#"{"config_descs":[{"configuration_value":1}]}"#,
    ] {
        assert!(serde_json::from_str::<Device>(text).is_err(), "{text}");
    }
}
