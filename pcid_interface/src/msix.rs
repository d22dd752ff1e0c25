//! Vectors for message signalled interrupts, from `/scheme/irq` of the kernel.
//!
//! The kernel lists the free IRQs of a processor in `/scheme/irq/cpu-XX` and reserves one for
//! whoever opens it with `O_CREAT`. IRQ `n` is vector `n + 32`, and a function raises it by writing
//! the vector to the processor's local APIC: a write that the PCI function is told to make by its
//! vector table (PCI Local Bus 3.0, 6.8.2; Intel SDM volume 3, 11.11). Such an interrupt is an
//! edge: nothing masks it, nothing is read from its file, and nothing must be written to it, since
//! for some numbers an acknowledgement would unmask a pin of the I/O APIC.
//!
//! Only the bootstrap processor's interrupts are counted correctly by the kernel, so vectors come
//! from there.

use libredox::{Fd, call};
use syscall::flag::{O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR};

use crate::error::Error;
use crate::types::MessageAddressAndData;

/// Vectors below this are the processor's exceptions.
const FIRST_IRQ_VECTOR: u8 = 32;

/// Where the local APICs take messages.
const LOCAL_APIC_ADDRESS: u64 = 0xfee0_0000;

/// Room for all 224 IRQs of a processor at once, at 24 bytes for each: the kernel fails a listing
/// that does not fit, rather than cutting it.
const LISTING_LENGTH: usize = 16 * 1024;

/// Bytes before the name in a directory entry: inode, cookie, record length, kind.
const DIRENT_HEADER_LENGTH: usize = 19;

/// A reserved vector. It is this process's until `irq` is closed.
pub struct Vector {
    /// Readable, as an event, whenever the interrupt came.
    pub irq: Fd,
    /// The number of the IRQ on the bootstrap processor: the vector less 32.
    pub number: u8,
    /// What the function is to write.
    pub message: MessageAddressAndData,
}

impl core::fmt::Debug for Vector {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Vector")
            .field("irq", &self.irq.raw())
            .field("number", &self.number)
            .field("message", &self.message)
            .finish()
    }
}

/// Reserves a vector of the bootstrap processor.
///
/// # Errors
/// Those of `/scheme/irq`; [`Error::NoFreeVector`] when every vector is in use.
pub fn allocate_vector() -> Result<Vector, Error> {
    let cpu = bootstrap_processor()?;
    for number in free_irqs(cpu)? {
        let Some(message) = message(cpu, number)? else {
            continue;
        };
        let path = format!("/scheme/irq/cpu-{cpu:02x}/{number}");
        match Fd::open(&path, (O_RDWR | O_CREAT) as i32, 0) {
            Ok(irq) => {
                return Ok(Vector {
                    irq,
                    number,
                    message,
                });
            }
            // Somebody else was quicker.
            Err(error) if error.errno() == syscall::error::EEXIST => {}
            Err(error) => return Err(Error::system(format!("open {path}"), error)),
        }
    }
    Err(Error::NoFreeVector { cpu })
}

/// The message that raises `irq` on processor `cpu`, if there is such a vector.
fn message(cpu: u32, irq: u8) -> Result<Option<MessageAddressAndData>, Error> {
    // Without interrupt remapping a message has eight bits for its destination.
    let apic = u8::try_from(cpu)
        .map_err(|_| Error::Irq(format!("processor {cpu} is out of reach of a message")))?;
    let address = LOCAL_APIC_ADDRESS | (u64::from(apic) << 12);
    Ok(irq
        .checked_add(FIRST_IRQ_VECTOR)
        .map(|vector| MessageAddressAndData {
            address,
            data: vector.into(),
        }))
}

fn bootstrap_processor() -> Result<u32, Error> {
    let path = "/scheme/irq/bsp";
    let file = Fd::open(path, O_RDONLY as i32, 0)
        .map_err(|error| Error::system(format!("open {path}"), error))?;
    // The kernel says 8 but writes only the 4 bytes of the number; the others stay as they were.
    let mut bytes = [0; 8];
    let count = file
        .read(&mut bytes)
        .map_err(|error| Error::system(format!("read {path}"), error))?;
    let [low @ .., _, _, _, _] = bytes;
    match count {
        4 | 8 => Ok(u32::from_ne_bytes(low)),
        count => Err(Error::Irq(format!("bsp has {count} bytes, not 8"))),
    }
}

fn free_irqs(cpu: u32) -> Result<Vec<u8>, Error> {
    let path = format!("/scheme/irq/cpu-{cpu:02x}");
    let flags = (O_RDONLY | O_DIRECTORY) as i32;
    let directory =
        Fd::open(&path, flags, 0).map_err(|error| Error::system(format!("open {path}"), error))?;
    let mut listing = vec![0; LISTING_LENGTH];
    let length = call::getdents(directory.raw(), &mut listing, 0)
        .map_err(|error| Error::system(format!("list {path}"), error))?;
    Ok(names(listing.get(..length).unwrap_or_default())
        .filter_map(|name| name.parse().ok())
        .collect())
}

/// The names in what `getdents` gave; it ends at the first entry that is none.
fn names(mut listing: &[u8]) -> impl Iterator<Item = &str> {
    core::iter::from_fn(move || {
        let length = listing
            .get(16..18)
            .and_then(|field| field.try_into().ok())
            .map(u16::from_ne_bytes)?;
        let (entry, rest) = listing.split_at_checked(length.into())?;
        let name = entry
            .get(DIRENT_HEADER_LENGTH..)?
            .split(|&byte| byte == 0)
            .next()?;
        listing = rest;
        str::from_utf8(name).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel's `DirentBuf` writes it: packed header, name, a NUL, padding to 8 bytes.
    fn entry(name: &str) -> Vec<u8> {
        let length = (DIRENT_HEADER_LENGTH + name.len() + 1).next_multiple_of(8);
        let mut bytes = vec![0xaa; 16];
        bytes.extend_from_slice(&(length as u16).to_ne_bytes());
        bytes.push(2);
        bytes.extend_from_slice(name.as_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn a_listing_gives_its_names() {
        let listing = [
            entry("16"),
            entry("17"),
            entry("223"),
            entry("something longer"),
        ]
        .concat();
        assert_eq!(
            names(&listing).collect::<Vec<_>>(),
            ["16", "17", "223", "something longer"]
        );
    }

    #[test]
    fn a_listing_that_lies_ends_where_it_lies() {
        assert_eq!(names(&[]).count(), 0);
        assert_eq!(names(&[0; 64]).count(), 0, "records of no length");
        let mut short = entry("16");
        short[16..18].copy_from_slice(&18_u16.to_ne_bytes());
        assert_eq!(names(&short).count(), 0, "a record that ends in its header");
        let mut long = entry("16");
        long[16..18].copy_from_slice(&100_u16.to_ne_bytes());
        assert_eq!(names(&long).count(), 0, "a record longer than the listing");
        assert_eq!(
            names(&[entry("16"), vec![0xff; 10]].concat()).collect::<Vec<_>>(),
            ["16"]
        );
    }

    #[test]
    fn a_message_names_the_processor_and_the_vector() {
        let message = |cpu, irq| message(cpu, irq).unwrap();
        assert_eq!(
            message(0, 16),
            Some(MessageAddressAndData {
                address: 0xfee0_0000,
                data: 48
            })
        );
        assert_eq!(
            message(3, 223),
            Some(MessageAddressAndData {
                address: 0xfee0_3000,
                data: 255
            })
        );
        assert_eq!(message(0, 224), None, "no vector above 255");
    }

    #[test]
    fn a_processor_beyond_eight_bits_is_refused() {
        assert!(matches!(message(256, 16), Err(Error::Irq(_))));
    }
}
