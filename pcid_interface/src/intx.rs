//! The line of INTx, from `/scheme/irq` of the kernel.
//!
//! A line is level triggered and may be shared. The kernel masks it when it fires and counts; the
//! driver reads the count, makes the device let go of the line, and writes the count back, which
//! unmasks it. When the line fired again in between, the counts differ, the write takes nothing,
//! and the driver looks again.

use libredox::Fd;
use syscall::flag::{O_CREAT, O_RDWR};

use crate::error::Error;
use crate::types::LegacyInterruptLine;

impl LegacyInterruptLine {
    /// Where the line is opened, and whether opening it has to reserve it: a line that a device
    /// tree describes has to be.
    ///
    /// # Errors
    /// [`Error::InterruptCells`] for a specifier of no cells or more than three.
    pub fn path(&self) -> Result<(String, bool), Error> {
        let Some(line) = self.phandled else {
            return Ok((format!("/scheme/irq/{}", self.irq), false));
        };
        let cells = line
            .address
            .get(..line.cells)
            .filter(|cells| !cells.is_empty())
            .ok_or(Error::InterruptCells(line.cells))?;
        let cells: Vec<_> = cells.iter().map(u32::to_string).collect();
        Ok((
            format!("/scheme/irq/phandle-{}/{}", line.phandle, cells.join(",")),
            true,
        ))
    }

    /// Opens the line.
    ///
    /// # Errors
    /// As [`LegacyInterruptLine::path`], and those of `/scheme/irq`.
    pub fn open(&self) -> Result<Fd, Error> {
        let (path, reserve) = self.path()?;
        let flags = O_RDWR | if reserve { O_CREAT } else { 0 };
        Fd::open(&path, flags as i32, 0)
            .map_err(|error| Error::system(format!("open {path}"), error))
    }
}

/// How often an interrupt line has fired, in the kernel's own form: what is read is written back to
/// acknowledge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count([u8; size_of::<usize>()]);

/// Reads the count of a line. `None` when it did not fire since it was last acknowledged: an event
/// without an interrupt of ours.
///
/// # Errors
/// That of the read.
pub fn read_count(irq: &Fd) -> Result<Option<Count>, Error> {
    let mut count = [0; size_of::<usize>()];
    let length = irq
        .read(&mut count)
        .map_err(|error| Error::system("read the interrupt's count", error))?;
    Ok((length == count.len()).then_some(Count(count)))
}

/// Acknowledges a line, which lets it fire again. `false` when it fired since `count` was read, and
/// nothing was acknowledged.
///
/// # Errors
/// That of the write.
pub fn acknowledge(irq: &Fd, count: Count) -> Result<bool, Error> {
    let written = irq
        .write(&count.0)
        .map_err(|error| Error::system("acknowledge the interrupt", error))?;
    Ok(written == count.0.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PhandledInterrupt;

    fn phandled(cells: usize) -> LegacyInterruptLine {
        LegacyInterruptLine {
            irq: 0,
            phandled: Some(PhandledInterrupt {
                phandle: 32770,
                address: [0, 4, 1],
                cells,
            }),
        }
    }

    #[test]
    fn a_line_of_the_pic_is_opened_by_its_number() {
        let line = LegacyInterruptLine {
            irq: 11,
            phandled: None,
        };
        assert_eq!(line.path().unwrap(), ("/scheme/irq/11".into(), false));
    }

    #[test]
    fn a_line_of_a_device_tree_is_reserved_by_its_controller_and_cells() {
        assert_eq!(
            phandled(1).path().unwrap(),
            ("/scheme/irq/phandle-32770/0".into(), true)
        );
        assert_eq!(
            phandled(2).path().unwrap(),
            ("/scheme/irq/phandle-32770/0,4".into(), true)
        );
        assert_eq!(
            phandled(3).path().unwrap(),
            ("/scheme/irq/phandle-32770/0,4,1".into(), true)
        );
    }

    #[test]
    fn a_line_with_cells_that_nobody_knows_is_refused() {
        for cells in [0, 4, usize::MAX] {
            assert!(
                matches!(phandled(cells).path(), Err(Error::InterruptCells(came)) if came == cells)
            );
        }
    }
}
