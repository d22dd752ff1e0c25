//! Capabilities that lie, and lists that loop.

use super::*;
use crate::msix::MsixTable;
use crate::pci::{
    Capabilities, ConfigSpace, ListFault, Location, MsixCapability, PciError, Skipped, Structures,
};
use alloc::sync::Arc;
use alloc::vec;

const BARS: [Option<u64>; 6] = [None, Some(0x1000), None, None, Some(0x4000), None];

/// A capability as pcid hands it out.
fn capability(kind: u8, bar: u8, offset: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![kind, bar, 0, 0, 0];
    bytes.extend(offset.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    if kind == 2 {
        bytes.extend(4u32.to_le_bytes());
    }
    bytes
}

/// What QEMU's virtio-net has.
fn qemu() -> Vec<Vec<u8>> {
    vec![
        capability(5, 0, 0, 0),
        capability(2, 4, 0x3000, 0x1000),
        capability(4, 4, 0x2000, 0x1000),
        capability(3, 4, 0x1000, 0x1000),
        capability(1, 4, 0, 0x1000),
    ]
}

#[test]
fn the_five_capabilities_of_qemu_are_found() {
    let found = Structures::parse(&qemu(), &BARS).expect("all there");
    assert_eq!(
        found.common,
        Location {
            bar: 4,
            offset: 0,
            length: 0x1000
        }
    );
    assert_eq!((found.notify.offset, found.notify_multiplier), (0x3000, 4));
    assert_eq!(found.isr.map(|isr| isr.offset), Some(0x1000));
    assert_eq!(found.device.map(|device| device.offset), Some(0x2000));
    assert_eq!((found.bars(), found.skipped), (vec![4], vec![]));
}

#[test]
fn offset_length_or_bar_out_of_range_is_passed_over_for_the_next_of_its_kind() {
    let bad = [
        (
            capability(1, 4, 0x4000, 56),
            Skipped::OutsideBar(Location {
                bar: 4,
                offset: 0x4000,
                length: 56,
            }),
        ),
        (
            capability(1, 4, 0, 0x4001),
            Skipped::OutsideBar(Location {
                bar: 4,
                offset: 0,
                length: 0x4001,
            }),
        ),
        (
            capability(1, 4, u32::MAX, u32::MAX),
            Skipped::OutsideBar(Location {
                bar: 4,
                offset: u32::MAX,
                length: u32::MAX,
            }),
        ),
        (capability(1, 0, 0, 56), Skipped::NoSuchBar { bar: 0 }),
        (capability(1, 6, 0, 56), Skipped::NoSuchBar { bar: 6 }),
        (capability(1, 255, 0, 56), Skipped::NoSuchBar { bar: 255 }),
        (
            capability(1, 4, 0, 55),
            Skipped::TooShort(Location {
                bar: 4,
                offset: 0,
                length: 55,
            }),
        ),
        (
            capability(1, 4, 2, 56),
            Skipped::Misaligned(Location {
                bar: 4,
                offset: 2,
                length: 56,
            }),
        ),
        (capability(1, 4, 0, 56)[..12].to_vec(), Skipped::Truncated),
        (
            capability(2, 4, 0x3000, 0x1000)[..16].to_vec(),
            Skipped::Truncated,
        ),
        (
            capability(2, 4, 0x3001, 0x10),
            Skipped::Misaligned(Location {
                bar: 4,
                offset: 0x3001,
                length: 0x10,
            }),
        ),
        (
            capability(3, 4, 0x1000, 0),
            Skipped::TooShort(Location {
                bar: 4,
                offset: 0x1000,
                length: 0,
            }),
        ),
        (vec![], Skipped::Truncated),
    ];
    for (bytes, why) in bad {
        let mut list = qemu();
        list.insert(0, bytes);
        let found = Structures::parse(&list, &BARS).expect("the good ones are still there");
        assert_eq!(found.skipped, [(0, why)]);
        assert_eq!(found.common.length, 0x1000);
    }
}

#[test]
fn two_of_a_kind_the_first_usable_wins() {
    let mut list = qemu();
    list.push(capability(1, 1, 0, 0x100));
    list.push(capability(4, 1, 0x100, 0x100));
    let found = Structures::parse(&list, &BARS).expect("all there");
    assert_eq!(
        (found.common.bar, found.device.map(|device| device.bar)),
        (4, Some(4))
    );
    assert_eq!(
        found.skipped,
        [(5, Skipped::SecondOfItsKind), (6, Skipped::SecondOfItsKind)]
    );
    list.rotate_right(2);
    let found = Structures::parse(&list, &BARS).expect("all there");
    assert_eq!((found.common.bar, found.bars()), (1, vec![1, 4]));
}

#[test]
fn without_common_configuration_or_doorbells_there_is_no_device() {
    assert_eq!(
        Structures::parse(&[], &BARS),
        Err(PciError::NoCommonConfiguration)
    );
    assert_eq!(
        Structures::parse(&qemu()[..4], &BARS),
        Err(PciError::NoCommonConfiguration)
    );
    assert_eq!(
        Structures::parse(&qemu()[2..], &BARS),
        Err(PciError::NoNotification)
    );
    let found = Structures::parse(&[qemu()[1].clone(), qemu()[4].clone()], &BARS)
        .expect("the rest is optional");
    assert_eq!((found.isr, found.device), (None, None));
}

#[test]
fn a_notify_multiplier_that_is_neither_zero_nor_an_even_power_of_two_is_passed_over() {
    for (multiplier, usable) in [
        (0u32, true),
        (1, false),
        (2, true),
        (3, false),
        (4096, true),
        (u32::MAX, false),
    ] {
        let mut list = qemu();
        list[1][13..].copy_from_slice(&multiplier.to_le_bytes());
        let found = Structures::parse(&list, &BARS);
        assert_eq!(
            found.map(|found| found.notify_multiplier).ok(),
            usable.then_some(multiplier),
            "{multiplier}"
        );
    }
}

#[test]
fn a_bar_that_was_mapped_too_short_is_refused() {
    let found = Structures::parse(&qemu(), &BARS).expect("all there");
    let memory = TestMemory::new(MEMORY_AT, 1);
    let registers = FakeDevice::new(&memory, FLAGS, &[4]);
    assert!(
        found
            .transport::<PciError>(|_| Ok(Arc::new(registers.clone())))
            .is_ok()
    );
    let short = Window::new(Arc::new(registers), 0, 0x3800).expect("inside");
    let error = found
        .transport::<PciError>(|_| Ok(Arc::new(short.clone())))
        .map(|_| ());
    assert_eq!(error, Err(PciError::MappedTooShort(found.notify)));
}

/// 256 bytes of configuration space.
struct Bytes([u8; 256]);

impl ConfigSpace for Bytes {
    fn read_u32(&self, offset: u8) -> u32 {
        let at = usize::from(offset);
        assert_eq!(at % 4, 0, "aligned reads only");
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }
}

/// A function whose capability list starts at `first` and has these bytes.
fn space(first: u8, capabilities: &[(u8, &[u8])]) -> Bytes {
    let mut bytes = [0; 256];
    (bytes[6], bytes[0x34]) = (0x10, first);
    for (position, capability) in capabilities {
        bytes[usize::from(*position)..][..capability.len()].copy_from_slice(capability);
    }
    Bytes(bytes)
}

#[test]
fn a_walk_finds_vendor_capabilities_and_msix() {
    let msix = [0x11, 0x50, 0x02, 0x80, 1, 8, 0, 0, 1, 0x0c, 0, 0];
    let found = Capabilities::walk(&space(
        0x40,
        &[
            (0x40, &msix),
            (0x50, &[9, 0x60, 6, 1, 2, 3]),
            (0x60, &[5, 0, 0]),
        ],
    ));
    assert_eq!(found.vendor, [vec![1, 2, 3]]);
    assert_eq!(
        found.msix,
        Some(MsixCapability {
            position: 0x40,
            entries: 3,
            table_bar: 1,
            table_offset: 0x800
        })
    );
    assert_eq!(found.fault, None);
    let mut none = space(0x40, &[(0x40, &msix)]);
    none.0[6] = 0;
    assert_eq!(
        Capabilities::walk(&none),
        Capabilities::default(),
        "the status says that there is no list"
    );
}

#[test]
fn a_loop_in_the_list_ends_and_keeps_what_was_found() {
    for (next, position) in [(0x40, 0x40), (0x50, 0x50)] {
        let list: [(u8, &[u8]); 2] = [(0x40, &[9, 0x50, 4, 1]), (0x50, &[9, next, 4, 2])];
        let found = Capabilities::walk(&space(0x40, &list));
        assert_eq!(found.vendor, [vec![1], vec![2]]);
        assert_eq!(found.fault, Some(ListFault::Loop { position }));
    }
}

#[test]
fn a_list_that_leads_astray_ends() {
    let into_header = Capabilities::walk(&space(0x40, &[(0x40, &[9, 0x10, 4, 1])]));
    assert_eq!(
        (into_header.vendor.len(), into_header.fault),
        (1, Some(ListFault::IntoHeader { position: 0x10 }))
    );
    for length in [0, 1, 2, 0x11, 0xff] {
        let found = Capabilities::walk(&space(0xf0, &[(0xf0, &[9, 0, length])]));
        assert_eq!(
            found.fault,
            Some(ListFault::BadLength { position: 0xf0 }),
            "length {length:#x}"
        );
    }
    let to_the_end = Capabilities::walk(&space(0xf0, &[(0xf0, &[9, 0, 0x10])]));
    assert_eq!((to_the_end.vendor[0].len(), to_the_end.fault), (13, None));
    let cut = Capabilities::walk(&space(0xf8, &[(0xf8, &[0x11, 0])]));
    assert_eq!(cut.fault, Some(ListFault::BadLength { position: 0xf8 }));
    assert_eq!(
        Capabilities::walk(&Bytes([0xff; 256])).vendor.len(),
        0,
        "nobody there"
    );
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_configuration_space_says_the_walk_ends(bytes in proptest::collection::vec(any::<u8>(), 256)) {
            let mut space = Bytes(bytes.try_into().expect("256 bytes"));
            space.0[6] |= 0x10;
            let found = Capabilities::walk(&space);
            prop_assert!(found.vendor.len() <= 48, "{found:?}");
            _ = Structures::parse(&found.vendor, &[Some(0x1000); 6]);
        }

        #[test]
        fn whatever_the_capabilities_say_a_structure_lies_inside_its_bar(
            list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..8),
            sizes in proptest::array::uniform6(proptest::option::of(any::<u32>())),
        ) {
            let mut list = list;
            list.iter_mut().for_each(|bytes| bytes.iter_mut().take(2).for_each(|byte| *byte %= 6));
            let bars = sizes.map(|size| size.map(u64::from));
            if let Ok(found) = Structures::parse(&list, &bars) {
                for location in [Some(found.common), Some(found.notify), found.isr, found.device].into_iter().flatten() {
                    let end = u64::from(location.offset) + u64::from(location.length);
                    prop_assert!(bars[usize::from(location.bar)].is_some_and(|size| end <= size));
                }
            }
        }
    }
}

/// Plain memory as registers.
struct Table(std::sync::Mutex<Vec<u8>>);

impl Registers for Table {
    fn length(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.0.lock().expect("no panic")[offset]
    }
    fn read_u16(&self, offset: usize) -> u16 {
        u16::from(self.read_u8(offset)) | u16::from(self.read_u8(offset + 1)) << 8
    }
    fn read_u32(&self, offset: usize) -> u32 {
        u32::from(self.read_u16(offset)) | u32::from(self.read_u16(offset + 2)) << 16
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.0.lock().expect("no panic")[offset] = value;
    }
    fn write_u16(&self, offset: usize, value: u16) {
        value
            .to_le_bytes()
            .into_iter()
            .zip(offset..)
            .for_each(|(byte, at)| self.write_u8(at, byte));
    }
    fn write_u32(&self, offset: usize, value: u32) {
        value
            .to_le_bytes()
            .into_iter()
            .zip(offset..)
            .for_each(|(byte, at)| self.write_u8(at, byte));
    }
}

#[test]
fn the_msix_table_is_written_entry_by_entry_and_never_beyond() {
    let memory: Arc<dyn Registers> = Arc::new(Table(std::sync::Mutex::new(vec![0xf0; 64])));
    let window = |length| Window::new(memory.clone(), 16, length).expect("inside");
    assert!(
        MsixTable::new(window(32), 3).is_none(),
        "three entries do not fit into 32 bytes"
    );
    let table = MsixTable::new(window(32), 2).expect("fits");
    table.mask_all();
    assert_eq!(
        (memory.read_u32(28), memory.read_u32(44)),
        (0xf0f0_f0f1, 0xf0f0_f0f1),
        "reserved bits stay"
    );
    assert!(table.set(1, 0x1_fee0_1000, 0x4321));
    assert_eq!(memory.read_u64(32), 0x1_fee0_1000);
    assert_eq!(
        (memory.read_u32(40), memory.read_u32(44)),
        (0x4321, 0xf0f0_f0f0)
    );
    assert_eq!(
        memory.read_u32(28),
        0xf0f0_f0f1,
        "the other is still masked"
    );
    assert!(!table.set(2, 0, 0) && !table.set_mask(0xffff, false));
    assert!(
        (0..16).chain(48..64).all(|at| memory.read_u8(at) == 0xf0),
        "nothing outside was touched"
    );
}
