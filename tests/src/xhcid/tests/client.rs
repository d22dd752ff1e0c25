//! A driver's end of xhcid's files, as literal as can be: what it writes is text.

use libredox::Fd;
use netscheme::reactor::Reactor;
use syscall::error::{EWOULDBLOCK, Error, Result};
use syscall::flag::{EventFlags, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

use super::SOON;
use crate::xhcid::bus::Port;

/// The directory of a port.
pub(in crate::xhcid) struct Client(pub(super) Fd);

/// The two files of an endpoint.
pub(in crate::xhcid) struct Endpoint {
    pub(in crate::xhcid) control: Fd,
    pub(in crate::xhcid) data: Fd,
}

impl Client {
    pub(in crate::xhcid) fn open(scheme: &str, port: Port) -> Result<Self> {
        let path = format!("/scheme/{scheme}/port{port}");
        Ok(Self(Fd::open(&path, O_DIRECTORY as i32, 0)?))
    }

    pub(in crate::xhcid) fn file(&self, path: &str, flags: usize) -> Result<Fd> {
        Ok(self.0.openat(path, flags as i32, 0)?)
    }

    /// The error of an open that must fail.
    pub(in crate::xhcid) fn refused(&self, path: &str, flags: usize) -> i32 {
        self.file(path, flags).err().unwrap().errno
    }

    /// The whole of a file, as xhcid's own client reads it: by the size that it says.
    pub(in crate::xhcid) fn text(&self, path: &str) -> Result<String> {
        let file = self.file(path, O_RDONLY)?;
        let size = file.stat()?.st_size as usize;
        let mut bytes = vec![0; if size == 0 { 64 } else { size }];
        let length = file.read(&mut bytes)?;
        bytes.truncate(length);
        Ok(String::from_utf8(bytes).unwrap())
    }

    pub(in crate::xhcid) fn configure(&self, value: u8) -> Result<usize> {
        self.write("configure", &format!(
            r#"{{"config_desc":{value},"interface_desc":null,"alternate_setting":null,"hub_ports":null}}"#
        ))
    }

    pub(in crate::xhcid) fn write(&self, path: &str, text: &str) -> Result<usize> {
        Ok(self.file(path, O_WRONLY)?.write(text.as_bytes())?)
    }

    /// SEND_ENCAPSULATED_COMMAND.
    pub(in crate::xhcid) fn send_command(&self, message: &[u8]) -> Result<usize> {
        let file = self.file("request", O_RDWR)?;
        file.write(request("HostToDevice", 0, message.len()).as_bytes())?;
        Ok(file.write(message)?)
    }

    /// GET_ENCAPSULATED_RESPONSE.
    pub(in crate::xhcid) fn get_response(&self, length: usize) -> Result<Vec<u8>> {
        let file = self.file("request", O_RDWR)?;
        file.write(request("DeviceToHost", 1, length).as_bytes())?;
        let mut bytes = vec![0xee; length];
        assert_eq!(file.read(&mut bytes)?, length);
        Ok(bytes)
    }

    pub(in crate::xhcid) fn endpoint(&self, number: u8, flags: usize) -> Result<Endpoint> {
        Ok(Endpoint {
            control: self.file(&format!("endpoints/{number}/ctl"), O_RDWR)?,
            data: self.file(&format!("endpoints/{number}/data"), O_RDWR | flags)?,
        })
    }

    pub(in crate::xhcid) fn nonblocking(&self, number: u8) -> Endpoint {
        self.endpoint(number, O_NONBLOCK).unwrap()
    }
}

fn request(direction: &str, request: u8, length: usize) -> String {
    format!(
        r#"{{"direction":"{direction}","req_type":"Class","req_recipient":"Interface","request":{request},"value":0,"index":0,"length":{length},"transfers_data":true}}"#
    )
}

impl Endpoint {
    pub(in crate::xhcid) fn ask(&self, text: &str) -> Result<usize> {
        Ok(self.control.write(text.as_bytes())?)
    }

    pub(in crate::xhcid) fn transfer(&self, direction: &str, count: usize) -> Result<usize> {
        self.ask(&format!(
            r#"{{"Transfer":{{"direction":"{direction}","count":{count}}}}}"#
        ))
    }

    pub(in crate::xhcid) fn answer(&self) -> Result<String> {
        let mut bytes = [0; 256];
        let length = self.control.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    pub(in crate::xhcid) fn read(&self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let length = self.data.read(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    pub(in crate::xhcid) fn write(&self, bytes: &[u8]) -> Result<usize> {
        Ok(self.data.write(bytes)?)
    }

    /// Starts a transfer from the device: the first read only arms it.
    pub(in crate::xhcid) fn arm(&self, length: usize) -> Result<()> {
        self.transfer("In", length)?;
        match self.read(length) {
            Err(Error { errno: EWOULDBLOCK }) => Ok(()),
            other => panic!("the first read gave {other:?}"),
        }
    }

    /// Sleeps until the data file has one of these events.
    pub(in crate::xhcid) fn wait(&self, flags: EventFlags) -> EventFlags {
        let mut reactor = Reactor::new().unwrap();
        reactor.watch(self.data.raw(), 7, flags).unwrap();
        self.wait_on(&mut reactor)
    }

    pub(in crate::xhcid) fn wait_on(&self, reactor: &mut Reactor) -> EventFlags {
        let deadline = netscheme::clock::now().saturating_add(SOON);
        let mut events = Vec::new();
        reactor.wait(Some(deadline), &mut events).unwrap();
        events
            .first()
            .map_or(EventFlags::empty(), |event| event.flags)
    }
}
