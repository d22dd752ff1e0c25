//! The interrupt controller behind the `irq` scheme.
use std::os::fd::OwnedFd;

/// The machine's interrupts, as the lab drives them.
#[derive(Debug)]
pub struct IrqController(());

impl IrqController {
    pub(crate) const fn placeholder() -> Self {
        Self(())
    }
    /// Makes `source` (an eventfd) the source of edge interrupt `irq` (`vector - 32`, 16..=223) of CPU 0:
    /// every time it becomes readable it is read and the interrupt rings.
    /// The file `/scheme/irq/cpu-00/<irq>` can then still be reserved with O_CREAT.
    pub fn connect_msi(&self, _irq: u8, _source: OwnedFd) {}
    /// A pool of interrupt sources: `sources[i]` becomes irq `16 + i` (the first irq free, upwards), listed by getdents of
    /// `/scheme/irq/cpu-00` until reserved with O_CREAT. Irqs without a source are not listed.
    /// Returns the irqs in the order of `sources`.
    pub fn provide_msi_vectors(&self, _sources: Vec<OwnedFd>) -> Vec<u8> {
        Vec::new()
    }
    /// Which entry of `provide_msi_vectors` feeds `irq`: what the lab writes into an MSI message.
    pub fn source_of(&self, _irq: u8) -> Option<usize> {
        None
    }
    /// The irqs that drivers have reserved so far, in order of reservation.
    pub fn reserved(&self) -> Vec<u8> {
        Vec::new()
    }
    /// Rings `irq` once, as an edge (MSI).
    pub fn raise(&self, _irq: u8) {}
    /// Declares line `irq` (0..=15) level-triggered; `on_mask(true)` is called when the kernel masks it (at a trigger), `on_mask(false)` when
    /// the driver's ack unmasks it.
    pub fn connect_line(&self, _irq: u8, _on_mask: impl Fn(bool) + Send + Sync + 'static) {}
    /// The line is asserted: rings unless masked, and again at each unmask while it stays asserted.
    pub fn raise_line(&self, _irq: u8) {}
    /// The line is released.
    pub fn lower_line(&self, _irq: u8) {}
}
