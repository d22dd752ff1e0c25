//! Disks made here, with a file system of Redox's own crate on them.

use tempfile::TempDir;

use super::*;

const MIB: u64 = 1 << 20;

/// A folder with a disk of 24 MiB whose file system starts at `start` and holds `/etc/init.d/10_smolnetd.service`.
fn disk(start: u64) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    file.set_len(24 * MIB).unwrap();
    let part = Part::new(file, start).unwrap();
    let mut file_system = FileSystem::create(DiskIo(part), None, 1, 0).unwrap();
    file_system.tx(|tx| tx.sync(true)).unwrap();
    let mut image = Image {
        file_system,
        now: 1,
    };
    let tree = tempfile::tempdir().unwrap();
    write(
        tree.path(),
        "etc/init.d/10_smolnetd.service",
        b"upstream's\n",
    );
    write(tree.path(), "etc/hostname", b"redox\n");
    assert_eq!(image.lay_over(tree.path()).unwrap(), 2);
    (folder, path)
}

fn write(tree: &Path, name: &str, data: &[u8]) {
    let path = tree.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, data).unwrap();
}

/// A file of the disk and its mode, read with the disk opened anew.
fn read(disk: &Path, path: &str) -> Option<(Vec<u8>, u16)> {
    let mut image = Image::open(disk).unwrap();
    let mut found = (TreePtr::root(), 0);
    for name in path.split('/') {
        found = image.find(found.0, name).unwrap()?;
    }
    let read = image.file_system.tx(|tx| {
        let size = tx.read_tree(found.0)?.data().size();
        let mut data = vec![0; usize::try_from(size).unwrap()];
        let count = tx.read_node(found.0, 0, &mut data, 0, 0)?;
        data.truncate(count);
        Ok(data)
    });
    Some((read.unwrap(), found.1))
}

#[test]
fn files_are_replaced_and_added_and_their_neighbours_stay() {
    let (_folder, disk) = disk(USUAL_START);
    let tree = tempfile::tempdir().unwrap();
    let program: Vec<u8> = (0..3 * MIB).map(|i| (i % 251) as u8).collect();
    write(tree.path(), "usr/bin/smolnetd", &program);
    fs::set_permissions(
        tree.path().join("usr/bin/smolnetd"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    write(tree.path(), "etc/init.d/10_smolnetd.service", b"ours\n");
    // Twice: what was laid over once is replaced by the next run.
    for _ in 0..2 {
        let mut image = Image::open(&disk).unwrap();
        assert_eq!(image.lay_over(tree.path()).unwrap(), 2);
    }
    let (data, mode) = read(&disk, "usr/bin/smolnetd").unwrap();
    assert_eq!(data.len(), program.len());
    assert!(
        data == program,
        "a program of several records comes back whole"
    );
    assert_eq!(mode, Node::MODE_FILE | 0o755);
    let (data, mode) = read(&disk, "etc/init.d/10_smolnetd.service").unwrap();
    assert_eq!(
        (data.as_slice(), mode),
        (&b"ours\n"[..], Node::MODE_FILE | 0o644)
    );
    assert_eq!(read(&disk, "etc/hostname").unwrap().0, b"redox\n");
    assert_eq!(read(&disk, "etc/nothing"), None);
}

#[test]
fn the_file_system_is_found_by_the_partition_table_or_at_the_usual_place() {
    // By a master boot record.
    let (_folder, path) = disk(5 * MIB);
    assert!(Image::open(&path).is_err(), "nothing leads there yet");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let sector = u32::try_from(5 * MIB / SECTOR).unwrap();
    file.write_at(&sector.to_le_bytes(), 446 + 16 + 8).unwrap();
    file.write_at(&[0x55, 0xaa], 510).unwrap();
    assert_eq!(find(&file).unwrap(), Some(5 * MIB));
    assert_eq!(read(&path, "etc/hostname").unwrap().0, b"redox\n");
    // By a GPT, whose boot record names the whole disk. The second entry is the one.
    let mut header = [0; 92];
    header[..8].copy_from_slice(b"EFI PART");
    header[72..80].copy_from_slice(&2u64.to_le_bytes());
    header[80..84].copy_from_slice(&128u32.to_le_bytes());
    header[84..88].copy_from_slice(&128u32.to_le_bytes());
    file.write_at(&1u32.to_le_bytes(), 446 + 16 + 8).unwrap();
    file.write_at(&header, SECTOR).unwrap();
    file.write_at(&u64::from(sector).to_le_bytes(), 2 * SECTOR + 128 + 32)
        .unwrap();
    assert_eq!(find(&file).unwrap(), Some(5 * MIB));
    // By neither.
    for start in [0, USUAL_START] {
        let (_folder, path) = disk(start);
        assert_eq!(
            find(&File::open(&path).unwrap()).unwrap(),
            Some(start),
            "{start}"
        );
    }
}

#[test]
fn tables_that_lie_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let mut bytes = vec![0xff; 4096];
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes[512..520].copy_from_slice(b"EFI PART");
    for table in [0, 1, u64::MAX / 512, u64::MAX] {
        bytes[512 + 72..512 + 80].copy_from_slice(&table.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        assert_eq!(find(&File::open(&path).unwrap()).unwrap(), None, "{table}");
    }
    for length in [0, 1, 511, 512, 600] {
        fs::write(&path, &bytes[..length]).unwrap();
        let Err(error) = Image::open(&path) else {
            panic!("a disk of {length} bytes was opened");
        };
        assert!(error.to_string().contains("no Redox file system"));
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let (_folder, disk) = disk(USUAL_START);
    let tree = tempfile::tempdir().unwrap();
    // The file system compresses: only what has no pattern fills it.
    let mut noise = vec![0; 25 * MIB as usize];
    lab::peers::pattern(0, &mut noise);
    write(tree.path(), "usr/bin/large", &noise);
    let error = Image::open(&disk)
        .unwrap()
        .lay_over(tree.path())
        .unwrap_err();
    assert!(error.to_string().contains("usr/bin/large"), "{error}");
}

#[test]
fn a_file_where_a_folder_is_needed_is_an_error() {
    let (_folder, disk) = disk(USUAL_START);
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), "etc/hostname/file", b"");
    let error = Image::open(&disk)
        .unwrap()
        .lay_over(tree.path())
        .unwrap_err();
    assert!(
        error.to_string().contains("something else than a folder"),
        "{error}"
    );
}

#[test]
fn a_copy_is_laid_over_and_the_disk_stays_as_it_was() {
    let (folder, disk) = disk(0);
    let before = fs::read(&disk).unwrap();
    let tree = tempfile::tempdir().unwrap();
    write(tree.path(), "etc/hostname", b"ours\n");
    let copy = Copy::of(&disk, folder.path()).unwrap();
    Image::open(copy.path())
        .unwrap()
        .lay_over(tree.path())
        .unwrap();
    assert_eq!(read(copy.path(), "etc/hostname").unwrap().0, b"ours\n");
    assert!(fs::read(&disk).unwrap() == before);
    let name = copy.path().to_owned();
    drop(copy);
    assert!(!name.exists(), "nothing of it is left");
}
