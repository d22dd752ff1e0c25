//! `cat`, `ls` and `write`.

use crate::{Error, Terminal, fd, read_text, write_text};

/// `cat PATH…`: prints files.
pub(crate) fn cat(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    if args.is_empty() {
        return Err(Error::Usage("cat PATH…".into()));
    }
    for path in args {
        terminal.out.write_all(read_text(path)?.as_bytes())?;
    }
    Ok(())
}

/// `ls PATH`: lists a directory, sorted, directories with a slash behind them.
pub(crate) fn ls(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let [path] = args else {
        return Err(Error::Usage("ls PATH".into()));
    };
    let mut entries = fd::list(path)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        let slash = if entry.is_directory { "/" } else { "" };
        writeln!(terminal.out, "{}{slash}", entry.name)?;
    }
    Ok(())
}

/// `write PATH TEXT`: writes one line and commits it.
pub(crate) fn write(args: &[String], _terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let [path, text] = args else {
        return Err(Error::Usage("write PATH TEXT".into()));
    };
    write_text(path, &format!("{text}\n"))
}
