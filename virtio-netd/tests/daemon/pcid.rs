//! pcid, as far as one function of one card needs it: its channel, to the byte.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};

use netscheme::reactor::Reactor;
use netscheme::{Scheme, Server, clock};
use pcid_interface::{
    Bar, Feature, FeatureInfo, FullDeviceId, LegacyInterruptLine, MsixInfo, PciAddress,
    PciFunction, Request, Response, ServerError, SubdriverArguments, VendorCapability,
};
use redox_host::ContextHandle;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::error::{EINVAL, ENOENT, Error, Result};
use syscall::flag::{EventFlags, MapFlags};
use syscall::schemev2::NewFdFlags;
use virtio_core::Registers;

use crate::card::{Card, Wiring};

/// The directory of the card's function.
pub(crate) const FUNCTION: &str = "/scheme/pci/0000--00--04.0";

const ROOT: usize = 1;

pub(crate) struct Pcid {
    pub(crate) card: Card,
    pub(crate) line: Option<LegacyInterruptLine>,
    pub(crate) device_id: u16,
    /// What BAR 1 is mapped to.
    pub(crate) bar: Arc<OnceLock<usize>>,
    /// The offsets of the mappings asked for.
    pub(crate) mapped: Arc<Mutex<Vec<u64>>>,
    /// The process that this is.
    pub(crate) process: Arc<OnceLock<ContextHandle>>,
    /// Answers of the open channels, by handle.
    answers: Vec<VecDeque<u8>>,
}

impl Pcid {
    pub(crate) fn new(card: Card) -> Self {
        let line = match card.wiring() {
            Wiring::Line(irq) => Some(LegacyInterruptLine {
                irq,
                phandled: None,
            }),
            Wiring::MsiX(_) => None,
        };
        Self {
            card,
            line,
            device_id: 0x1041,
            bar: Arc::default(),
            mapped: Arc::default(),
            process: Arc::default(),
            answers: Vec::new(),
        }
    }

    /// Serves until the process is killed; says once that it does.
    pub(crate) fn run(mut self, ready: &Sender<()>) -> i32 {
        let mut server = Server::create("pci", ROOT).unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor
            .watch(server.fd(), 0, EventFlags::EVENT_READ)
            .unwrap();
        _ = self.process.set(redox_host::current().unwrap());
        ready.send(()).unwrap();
        let mut events = Vec::new();
        while reactor.wait(None, &mut events).is_ok() {
            let served = server.serve(&mut self, clock::now());
            if served.is_err() || server.flush().is_err() {
                break;
            }
        }
        0
    }

    fn respond(&self, request: Request) -> Response {
        let Wiring::MsiX(vectors) = self.card.wiring() else {
            return match request {
                Request::RequestFeatures => Response::AllFeatures(Vec::new()),
                Request::FeatureInfo(feature) | Request::EnableFeature(feature) => {
                    Response::Error(ServerError::NonexistentFeature(feature))
                }
                other => self.respond_always(other),
            };
        };
        match request {
            Request::RequestFeatures => Response::AllFeatures(vec![Feature::MsiX]),
            Request::FeatureInfo(Feature::MsiX) => {
                let info = MsixInfo {
                    table_bar: 1,
                    table_offset: 0,
                    table_size: vectors,
                    pba_bar: 1,
                    pba_offset: 0x800,
                };
                Response::FeatureInfo(Feature::MsiX, FeatureInfo::MsiX(info))
            }
            Request::EnableFeature(Feature::MsiX) => Response::FeatureEnabled(Feature::MsiX),
            other => self.respond_always(other),
        }
    }

    fn respond_always(&self, request: Request) -> Response {
        match request {
            Request::EnableDevice => Response::EnabledDevice,
            Request::RequestConfig => Response::Config(SubdriverArguments {
                function: self.function(),
            }),
            Request::RequestVendorCapabilities => {
                let capability = |data| VendorCapability { data };
                Response::VendorCapabilities(
                    self.card
                        .fake
                        .capabilities()
                        .into_iter()
                        .map(capability)
                        .collect(),
                )
            }
            _ => Response::Error(ServerError::InvalidBitPattern),
        }
    }

    fn function(&self) -> PciFunction {
        let mut bars = [Bar::None; 6];
        bars[0] = Bar::Memory64 {
            address: 0xe000_0000,
            size: self.card.fake.length() as u64,
        };
        bars[1] = Bar::Memory32 {
            address: 0xe010_0000,
            size: 64,
        };
        PciFunction {
            address: PciAddress {
                segment: 0,
                bus: 0,
                device: 4,
                function: 0,
            },
            bars,
            rom: None,
            legacy_interrupt_line: self.line,
            full_device_id: FullDeviceId {
                vendor_id: 0x1af4,
                device_id: self.device_id,
                class: 2,
                ..FullDeviceId::default()
            },
        }
    }

    fn channel(&mut self, id: usize) -> Result<&mut VecDeque<u8>> {
        id.checked_sub(ROOT + 1)
            .and_then(|place| self.answers.get_mut(place))
            .ok_or(Error::new(EINVAL))
    }
}

impl SchemeSync for Pcid {
    fn openat(
        &mut self,
        _dir: usize,
        path: &str,
        _flags: usize,
        _fcntl: u32,
        _caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if path.trim_matches('/') != "0000--00--04.0/channel" {
            return Err(Error::new(ENOENT));
        }
        self.answers.push(VecDeque::new());
        Ok(OpenResult::ThisScheme {
            number: ROOT + self.answers.len(),
            flags: NewFdFlags::empty(),
        })
    }

    fn write(
        &mut self,
        id: usize,
        bytes: &[u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        // A response that was not read to its end is in the way of the next request.
        if !self.channel(id)?.is_empty() {
            return Err(Error::new(EINVAL));
        }
        let request = Request::decode(bytes).map_err(|_| Error::new(EINVAL))?;
        let answer = self.respond(request).encode_with_length();
        self.channel(id)?.extend(answer);
        Ok(bytes.len())
    }

    fn read(
        &mut self,
        id: usize,
        bytes: &mut [u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let answer = self.channel(id)?;
        let count = bytes.len().min(answer.len());
        bytes
            .iter_mut()
            .zip(answer.drain(..count))
            .for_each(|(to, from)| *to = from);
        Ok(count)
    }

    fn mmap_prep(
        &mut self,
        id: usize,
        offset: u64,
        _size: usize,
        _flags: MapFlags,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        self.channel(id)?;
        self.mapped.lock().unwrap().push(offset);
        let bar = self.bar.get().filter(|_| offset >> 61 == 1);
        bar.copied().ok_or(Error::new(EINVAL))
    }

    fn munmap(
        &mut self,
        _id: usize,
        _offset: u64,
        _size: usize,
        _flags: syscall::flag::MunmapFlags,
        _caller: &CallerCtx,
    ) -> Result<()> {
        Ok(())
    }
}

impl Scheme for Pcid {}
