//! A disk with Redox on it: finds the file system, and lays files over it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lab::{Context, Error, Result};
use redoxfs::{BLOCK_SIZE, DiskIo, FileSystem, HEADER_RING, Node, SIGNATURE, TreePtr};
use syscall::error::ENOENT;

const SECTOR: u64 = 512;
/// Where the installer puts the file system.
const USUAL_START: u64 = 2 << 20;
/// The most entries of a partition table that are looked at.
const MOST_PARTITIONS: u64 = 128;

/// A copy of a disk, without a name: it is gone with the harness, however that ends.
pub(crate) struct Copy {
    _file: File,
    path: PathBuf,
}

impl Copy {
    /// Copies the disk at `path` to where `folder` is.
    ///
    /// # Errors
    /// It cannot be read, or there is no room for a copy.
    pub(crate) fn of(path: &Path, folder: &Path) -> Result<Copy> {
        let mut disk = File::open(path).context(path.display())?;
        fs::create_dir_all(folder).context(folder.display())?;
        let mut file = tempfile::tempfile_in(folder).context(folder.display())?;
        io::copy(&mut disk, &mut file).context(path.display())?;
        // QEMU opens it by this name, as the child of the process that has it open.
        let name = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Ok(Copy {
            _file: file,
            path: name.into(),
        })
    }

    /// By what name it can be opened, while it is there.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The Redox file system of a disk.
pub(crate) struct Image {
    file_system: FileSystem<DiskIo<Part>>,
    /// Seconds since 1970, for what is made now.
    now: u64,
}

impl Image {
    /// Finds and opens the file system on the disk.
    pub(crate) fn open(path: &Path) -> Result<Image> {
        let named = || path.display();
        let options = OpenOptions::new().read(true).write(true).open(path);
        let file = options.context(named())?;
        let start = find(&file)
            .context(named())?
            .context(format_args!("{}: no Redox file system on it", named()))?;
        let part = Part::new(file, start).context(named())?;
        let file_system = FileSystem::open(DiskIo(part), None, None, false).context(
            format_args!("{}: opening its file system (is it encrypted?)", named()),
        )?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Image {
            file_system,
            now: now.unwrap_or_default().as_secs(),
        })
    }

    /// Lays the files under the folder `tree` over the root: what is there is replaced, its neighbours stay. How many
    /// files that were.
    pub(crate) fn lay_over(&mut self, tree: &Path) -> Result<usize> {
        self.lay(tree, TreePtr::root())
    }

    fn lay(&mut self, folder: &Path, into: TreePtr<Node>) -> Result<usize> {
        let entries = fs::read_dir(folder).context(folder.display())?;
        let mut count = 0;
        for entry in entries {
            let entry = entry.context(folder.display())?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name
                .to_str()
                .context(format_args!("{}: no UTF-8", path.display()))?;
            let metadata = entry.metadata().context(path.display())?;
            if metadata.is_dir() {
                let node = self.folder(into, name).context(path.display())?;
                count += self.lay(&path, node)?;
            } else if metadata.is_file() {
                let data = fs::read(&path).context(path.display())?;
                // Everybody may read; whether it runs is the tree's to say.
                let mode = if metadata.permissions().mode() & 0o100 == 0 {
                    0o644
                } else {
                    0o755
                };
                self.file(into, name, mode, &data).context(path.display())?;
                count += 1;
            } else {
                return Err(Error::new(format!(
                    "{}: neither a file nor a folder",
                    path.display()
                )));
            }
        }
        Ok(count)
    }

    /// The node of that name in `parent`, if there is one.
    fn find(&mut self, parent: TreePtr<Node>, name: &str) -> Result<Option<(TreePtr<Node>, u16)>> {
        let found = self.file_system.tx(|tx| tx.find_node(parent, name));
        match found {
            Ok(node) => Ok(Some((node.ptr(), node.data().mode()))),
            Err(error) if error.errno == ENOENT => Ok(None),
            Err(error) => Err(error).context(name),
        }
    }

    fn folder(&mut self, parent: TreePtr<Node>, name: &str) -> Result<TreePtr<Node>> {
        match self.find(parent, name)? {
            Some((node, mode)) if mode & Node::MODE_TYPE == Node::MODE_DIR => Ok(node),
            Some(_) => Err(Error::new("there is something else than a folder")),
            None => self.create(parent, name, Node::MODE_DIR | 0o755),
        }
    }

    fn file(&mut self, parent: TreePtr<Node>, name: &str, mode: u16, data: &[u8]) -> Result<()> {
        if let Some((_, old)) = self.find(parent, name)? {
            let kind = old & Node::MODE_TYPE;
            self.file_system
                .tx(|tx| tx.remove_node(parent, name, kind))
                .context("removing what was there")?;
        }
        let node = self.create(parent, name, Node::MODE_FILE | mode)?;
        let now = self.now;
        let written = self
            .file_system
            .tx(|tx| tx.write_node(node, 0, data, now, 0))
            .context("writing")?;
        match written == data.len() {
            true => Ok(()),
            false => Err(Error::new("written in part only")),
        }
    }

    fn create(&mut self, parent: TreePtr<Node>, name: &str, mode: u16) -> Result<TreePtr<Node>> {
        let now = self.now;
        let node = self
            .file_system
            .tx(|tx| tx.create_node(parent, name, mode, now, 0));
        Ok(node.context("making it")?.ptr())
    }
}

/// A part of a disk, from `start` to the disk's end, as if it were a whole one.
struct Part {
    file: File,
    start: u64,
    length: u64,
    position: u64,
}

impl Part {
    fn new(file: File, start: u64) -> io::Result<Part> {
        let length = file.metadata()?.len().saturating_sub(start);
        Ok(Part {
            file,
            start,
            length,
            position: 0,
        })
    }

    /// How many of `wanted` bytes are left.
    fn room(&self, wanted: usize) -> usize {
        let left = self.length.saturating_sub(self.position);
        wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.room(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        let count = self.file.read_at(part, self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.get(..self.room(bytes.len())).unwrap_or_default();
        let count = self.file.write_at(part, self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Where the file system starts: at a partition's start, at the usual place, or at the disk's.
fn find(disk: &File) -> io::Result<Option<u64>> {
    let mut starts = partitions(disk)?;
    starts.extend([USUAL_START, 0]);
    for start in starts {
        if has_header(disk, start)? {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// The file system's header is in one of the first blocks, another one after each change.
fn has_header(disk: &File, start: u64) -> io::Result<bool> {
    for block in 0..HEADER_RING {
        let Some(offset) = start.checked_add(block * BLOCK_SIZE) else {
            return Ok(false);
        };
        let mut magic = [0; SIGNATURE.len()];
        if read_up_to(disk, offset, &mut magic)? == magic.len() && &magic == SIGNATURE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The starts of the partitions, in bytes, by the master boot record or the GPT behind it (UEFI 2.10 section 5).
fn partitions(disk: &File) -> io::Result<Vec<u64>> {
    let mut sector = [0; SECTOR as usize];
    if read_up_to(disk, 0, &mut sector)? < sector.len() || !sector.ends_with(&[0x55, 0xaa]) {
        return Ok(Vec::new());
    }
    let entries = sector.get(446..510).unwrap_or_default().chunks(16);
    let of_record = entries.filter_map(|entry| word(entry, 8).filter(|&sector| sector > 0));
    let mut starts: Vec<u64> = of_record.map(|sector| u64::from(sector) * SECTOR).collect();
    let mut header = [0; 92];
    if read_up_to(disk, SECTOR, &mut header)? == header.len() && header.starts_with(b"EFI PART") {
        starts = gpt(disk, &header)?;
    }
    Ok(starts)
}

/// Table at LBA `header[72]`, entry count at 80, entry size at 84; an entry's first LBA is at 32.
fn gpt(disk: &File, header: &[u8]) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    let (Some(table), Some(count), Some(size)) =
        (long(header, 72), word(header, 80), word(header, 84))
    else {
        return Ok(starts);
    };
    for number in 0..MOST_PARTITIONS.min(count.into()) {
        let offset = table
            .checked_mul(SECTOR)
            .and_then(|start| start.checked_add(number * u64::from(size)));
        let mut entry = [0; 40];
        let Some(offset) = offset.filter(|&offset| i64::try_from(offset).is_ok()) else {
            break;
        };
        if read_up_to(disk, offset, &mut entry)? < entry.len() {
            break;
        }
        let first = long(&entry, 32).filter(|&first| first > 0);
        starts.extend(first.and_then(|first| first.checked_mul(SECTOR)));
    }
    Ok(starts)
}

fn read_up_to(disk: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    // Beyond what an offset can be, there is nothing.
    match i64::try_from(offset) {
        Ok(_) => disk.read_at(buffer, offset),
        Err(_) => Ok(0),
    }
}

/// Little-endian, as all numbers of these tables are.
fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn long(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
