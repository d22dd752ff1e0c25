//! Interrupt lines: from a PCI function's pin to the line that its driver is told.
//!
//! Redox' `irq` scheme knows the lines 0 to 15, so the four PCI interrupts are told as four of these. On the `pc` the
//! chipset really routes them there; on the q35, where they are inputs 20 to 23 of the I/O APIC (which a machine with
//! ACPI would use), the lab does.

use super::Chipset;
use super::address::PciAddress;
use super::pci::PciBus;
use super::qtest::Width;

/// The lines that PCI functions can have.
pub const INTERRUPT_LINES: [u8; 4] = [10, 11, 5, 7];

/// The ISA bridge of the `pc`, with the routing registers PIRQRCA to PIRQRCD (82371SB datasheet, 2.2.8).
const PIIX3: PciAddress = PciAddress::slot(1);
const PIRQ_ROUTE: u8 = 0x60;
/// Inputs of the I/O APIC that the q35 gives to PIRQE to PIRQH (ICH9 datasheet, 5.9.5).
const PIRQE_INPUT: u32 = 20;

/// Connects the PCI interrupts to their lines.
pub(super) fn route_lines(bus: &PciBus, chipset: Chipset) {
    if chipset == Chipset::Pc {
        for (register, line) in (PIRQ_ROUTE..).zip(INTERRUPT_LINES) {
            bus.write(PIIX3, register, Width::Byte, line.into());
        }
    }
}

/// The line of a function on bus 0 with this interrupt pin (1 to 4); 255, "no connection", for pin 0.
pub(super) fn line_of(chipset: Chipset, at: PciAddress, pin: u8) -> u8 {
    let Some(pin) = pin.checked_sub(1) else {
        return 0xff;
    };
    // QEMU: piix_pci.c pci_slot_get_pirq for the pc, lpc_ich9.c ich9_lpc_rcba_update's defaults for slots below 25.
    let rotation = match chipset {
        Chipset::Pc => u32::from(at.device) + 3 + u32::from(pin),
        Chipset::Q35 => u32::from(at.device) + u32::from(pin),
    };
    line_of_rotation(rotation)
}

/// The line behind an input of the I/O APIC; None for inputs that are no PCI interrupts.
pub(super) fn line_of_input(chipset: Chipset, input: u32) -> Option<u8> {
    match chipset {
        Chipset::Pc => INTERRUPT_LINES
            .into_iter()
            .find(|line| u32::from(*line) == input),
        Chipset::Q35 => (PIRQE_INPUT..PIRQE_INPUT + 4)
            .contains(&input)
            .then(|| line_of_rotation(input - PIRQE_INPUT)),
    }
}

fn line_of_rotation(rotation: u32) -> u8 {
    let [first, second, third, fourth] = INTERRUPT_LINES;
    match rotation % 4 {
        0 => first,
        1 => second,
        2 => third,
        _ => fourth,
    }
}
