//! From the bytes of a device's descriptors to what xhcid tells of them. Knows nothing of the bus: it is given the bytes.

use super::bus::{Endpoint, Setup};
use super::json::{
    ConfDesc, DevDesc, EndpDesc, IfDesc, SuperSpeedCmp, SuperSpeedPlusIsochCmp, UnknownDesc,
};

/// Descriptor types (USB 2.0, table 9-5; USB 3.2, table 9-6).
pub(super) const DEVICE: u8 = 1;
pub(super) const CONFIGURATION: u8 = 2;
pub(super) const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const SUPERSPEED_COMPANION: u8 = 0x30;
const SUPERSPEED_PLUS_COMPANION: u8 = 0x31;

/// Bytes of a device descriptor (USB 2.0, table 9-8) and of the head of a configuration (table 9-10).
const DEVICE_LENGTH: u16 = 18;
const CONFIGURATION_LENGTH: u16 = 9;
/// US English, which xhcid prefers.
const ENGLISH: u16 = 0x409;

/// Reads all descriptors of a device. `get` makes a control transfer to the host and gives what came, None when the
/// device refuses or is gone.
pub(super) fn read(mut get: impl FnMut(Setup) -> Option<Vec<u8>>) -> Option<DevDesc> {
    let device = get(Setup::get_descriptor(DEVICE, 0, 0, DEVICE_LENGTH))?;
    let byte = |index: usize| device.get(index).copied();
    let word = |index: usize| Some(u16::from_le_bytes([byte(index)?, byte(index + 1)?]));
    let strings = [byte(14)?, byte(15)?, byte(16)?];
    let language = strings
        .iter()
        .any(|index| *index != 0)
        .then(|| language(&mut get))
        .flatten()
        .unwrap_or(0);
    let mut text = |index: u8| (index != 0).then(|| string(&mut get, index, language))?;
    let [manufacturer_str, product_str, serial_str] = strings.map(&mut text);
    let mut config_descs = Vec::new();
    for index in 0..byte(17)? {
        config_descs.push(configuration(&mut get, index, language)?);
    }
    Some(DevDesc {
        kind: byte(1)?,
        usb: word(2)?,
        class: byte(4)?,
        sub_class: byte(5)?,
        protocol: byte(6)?,
        packet_size: byte(7)?,
        vendor: word(8)?,
        product: word(10)?,
        release: word(12)?,
        manufacturer_str,
        product_str,
        serial_str,
        config_descs,
    })
}

/// The language of strings: English if there is some, or the first.
fn language(get: &mut impl FnMut(Setup) -> Option<Vec<u8>>) -> Option<u16> {
    let bytes = get(Setup::get_descriptor(STRING, 0, 0, 255))?;
    let languages: Vec<u16> = words(bytes.get(2..)?).collect();
    let english = languages.contains(&ENGLISH).then_some(ENGLISH);
    english.or(languages.first().copied())
}

fn string(
    get: &mut impl FnMut(Setup) -> Option<Vec<u8>>,
    index: u8,
    language: u16,
) -> Option<String> {
    let bytes = get(Setup::get_descriptor(STRING, index, language, 255))?;
    let length = usize::from(*bytes.first()?).min(bytes.len());
    let text: Vec<u16> = words(bytes.get(2..length)?).collect();
    Some(String::from_utf16_lossy(&text))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|pair| u16::from_le_bytes(*pair))
}

fn configuration(
    get: &mut impl FnMut(Setup) -> Option<Vec<u8>>,
    index: u8,
    language: u16,
) -> Option<ConfDesc> {
    let setup = |length| Setup::get_descriptor(CONFIGURATION, index, 0, length);
    let head = get(setup(CONFIGURATION_LENGTH))?;
    let total = u16::from_le_bytes([*head.get(2)?, *head.get(3)?]);
    let bytes = get(setup(total))?;
    let mut configuration = parse_configuration(&bytes)?;
    let name = *head.get(6)?;
    configuration.configuration = (name != 0).then(|| string(get, name, language)).flatten();
    Some(configuration)
}

/// The descriptors of a configuration, in their order; what is cut off is left out.
pub(super) fn parse_configuration(bytes: &[u8]) -> Option<ConfDesc> {
    let mut configuration = ConfDesc {
        kind: *bytes.get(1)?,
        configuration_value: *bytes.get(5)?,
        attributes: *bytes.get(7)?,
        max_power: *bytes.get(8)?,
        ..ConfDesc::default()
    };
    let mut rest = bytes.get(usize::from(*bytes.first()?)..)?;
    while let Some((&length, kind)) = rest.first().zip(rest.get(1)) {
        let Some((descriptor, after)) = rest.split_at_checked(length.into()) else {
            break;
        };
        if length < 2 {
            break;
        }
        add(&mut configuration, *kind, descriptor);
        rest = after;
    }
    Some(configuration)
}

fn add(configuration: &mut ConfDesc, kind: u8, bytes: &[u8]) {
    let interface = configuration.interface_descs.last_mut();
    match (kind, bytes, interface) {
        (
            INTERFACE,
            &[
                _,
                kind,
                number,
                alternate_setting,
                _,
                class,
                sub_class,
                protocol,
                ..,
            ],
            _,
        ) => {
            configuration.interface_descs.push(IfDesc {
                kind,
                number,
                alternate_setting,
                class,
                sub_class,
                protocol,
                ..IfDesc::default()
            });
        }
        (ENDPOINT, &[_, kind, address, attributes, low, high, interval, ..], Some(interface)) => {
            interface.endpoints.push(EndpDesc {
                kind,
                address,
                attributes,
                max_packet_size: u16::from_le_bytes([low, high]),
                interval,
                ..EndpDesc::default()
            });
        }
        (SUPERSPEED_COMPANION, &[_, kind, max_burst, attributes, low, high, ..], Some(of)) => {
            if let Some(endpoint) = of.endpoints.last_mut() {
                endpoint.ssc = Some(SuperSpeedCmp {
                    kind,
                    max_burst,
                    attributes,
                    bytes_per_interval: u16::from_le_bytes([low, high]),
                });
            }
        }
        (SUPERSPEED_PLUS_COMPANION, &[_, kind, _, _, a, b, c, d, ..], Some(of)) => {
            if let Some(endpoint) = of.endpoints.last_mut() {
                endpoint.sspc = Some(SuperSpeedPlusIsochCmp {
                    kind,
                    bytes_per_interval: u32::from_le_bytes([a, b, c, d]),
                });
            }
        }
        (kind, bytes, interface) => {
            let unknown = UnknownDesc {
                len: bytes.len() as u8,
                kind,
                all_bytes: bytes.to_vec(),
            };
            match interface {
                Some(interface) => interface.unknown_descs.push(unknown),
                None => configuration.unknown_descs.push(unknown),
            }
        }
    }
}

impl ConfDesc {
    /// The endpoints as xhcid numbers them, from 1: through all interface descriptors, alternates included.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let all = self.interface_descs.iter().flat_map(|of| &of.endpoints);
        all.map(|endpoint| Endpoint {
            address: endpoint.address,
            attributes: endpoint.attributes,
            max_packet_size: endpoint.max_packet_size,
            interval: endpoint.interval,
        })
    }
}
