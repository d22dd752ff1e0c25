//! Descriptors of scripted devices, made of their parts.

use crate::xhcid::descriptors::{CONFIGURATION, DEVICE, STRING};

/// The bytes that a device answers GET_DESCRIPTOR with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The 18 bytes of the device's (USB 2.0, table 9-8). How many configurations there are is filled in.
    pub device: [u8; 18],
    /// A configuration each, whole: with its interfaces and endpoints.
    pub configurations: Vec<Vec<u8>>,
    /// The strings from number 1 on.
    pub strings: Vec<String>,
}

impl Descriptors {
    /// A full-speed device (0525:a4a2) that is a communications device, with 64-byte packets on endpoint 0.
    pub fn new(configurations: Vec<Vec<u8>>) -> Self {
        let device = [
            18, 1, 0x00, 0x02, 2, 0, 0, 64, 0x25, 0x05, 0xa2, 0xa4, 0x00, 0x00, 1, 2, 0, 0,
        ];
        Self {
            device,
            configurations,
            strings: vec!["the lab".into(), "a scripted adapter".into()],
        }
    }

    /// A configuration of these interfaces, each the bytes of its descriptors.
    pub fn configuration(value: u8, interfaces: &[Vec<u8>]) -> Vec<u8> {
        let body = interfaces.concat();
        let [low, high] = (body.len() as u16 + 9).to_le_bytes();
        let mut numbers: Vec<u8> = interfaces
            .iter()
            .filter_map(|of| of.get(2).copied())
            .collect();
        numbers.dedup();
        let head = [9, 2, low, high, numbers.len() as u8, value, 0, 0xc0, 0x32];
        [&head[..], &body].concat()
    }

    /// An interface descriptor with its endpoints.
    pub fn interface(number: u8, alternate: u8, class: [u8; 3], endpoints: &[[u8; 7]]) -> Vec<u8> {
        let [class, subclass, protocol] = class;
        let count = endpoints.len() as u8;
        let head = [9, 4, number, alternate, count, class, subclass, protocol, 0];
        [&head[..], endpoints.as_flattened()].concat()
    }

    /// An endpoint descriptor. `attributes`: 2 bulk, 3 interrupt.
    pub fn endpoint(address: u8, attributes: u8, max_packet_size: u16, interval: u8) -> [u8; 7] {
        let [low, high] = max_packet_size.to_le_bytes();
        [7, 5, address, attributes, low, high, interval]
    }

    /// The descriptor that wValue names: type and number.
    pub(super) fn get(&self, value: u16) -> Option<Vec<u8>> {
        let [number, kind] = value.to_le_bytes();
        match kind {
            DEVICE => {
                let mut device = self.device;
                device[17] = self.configurations.len() as u8;
                Some(device.to_vec())
            }
            CONFIGURATION => self.configurations.get(usize::from(number)).cloned(),
            STRING if number == 0 => Some(vec![4, 3, 0x09, 0x04]),
            STRING => {
                let text = self.strings.get(usize::from(number) - 1)?;
                let words: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                Some([&[words.len() as u8 + 2, 3][..], &words].concat())
            }
            _ => None,
        }
    }
}
