//! `configure` and `request`: control transfers, which are waited for.

use syscall::error::{EBADF, EBADFD, EBADMSG, EINVAL, Error, Result};

use super::XhciScheme;
use super::node::RequestStage;
use crate::xhcid::bus::{Port, Setup};
use crate::xhcid::json::{ConfigureEndpointsReq, PortReq, PortReqDirection};

impl XhciScheme {
    pub(super) fn configure(&mut self, port: Port, bytes: &[u8]) -> Result<()> {
        let request: ConfigureEndpointsReq =
            serde_json::from_slice(bytes).map_err(|_| Error::new(EBADMSG))?;
        if request.interface_desc.is_some() != request.alternate_setting.is_some() {
            return Err(Error::new(EBADMSG));
        }
        let value = request.config_desc;
        let device = self.device(port, EBADFD)?;
        if device.configuration != Some(value) {
            let endpoints = device.endpoints_of(value)?;
            self.hub.bus.configure(port, &endpoints)?;
            self.hub
                .control(port, Setup::set_configuration(value), Vec::new())?;
            let device = self.devices.get_mut(&port).ok_or(Error::new(EBADFD))?;
            device.configured(value, &endpoints);
        }
        if let Some((interface, alternate)) = request.interface_desc.zip(request.alternate_setting)
        {
            let setup = Setup::set_interface(interface, alternate);
            self.hub.control(port, setup, Vec::new())?;
        }
        Ok(())
    }

    pub(super) fn write_request(&mut self, id: usize, port: Port, bytes: &[u8]) -> Result<()> {
        match self.handle(id)?.request {
            RequestStage::Idle => {
                let request: PortReq =
                    serde_json::from_slice(bytes).map_err(|_| Error::new(EBADMSG))?;
                let setup = Setup {
                    request_type: request.request_type(),
                    request: request.request,
                    value: request.value,
                    index: request.index,
                    length: request.length,
                };
                match request.direction {
                    _ if !request.transfers_data => {
                        self.request(id, port, setup, Vec::new()).map(drop)
                    }
                    PortReqDirection::HostToDevice => {
                        self.set_request(id, RequestStage::ToDevice(setup))
                    }
                    PortReqDirection::DeviceToHost => {
                        self.set_request(id, RequestStage::ToHost(setup))
                    }
                }
            }
            RequestStage::ToDevice(setup) if bytes.len() != usize::from(setup.length) => {
                self.set_request(id, RequestStage::Spent)?;
                Err(Error::new(EINVAL))
            }
            RequestStage::ToDevice(setup) => {
                self.request(id, port, setup, bytes.to_vec()).map(drop)
            }
            RequestStage::ToHost(_) | RequestStage::Spent => self.misused(id),
        }
    }

    pub(super) fn read_request(
        &mut self,
        id: usize,
        port: Port,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let RequestStage::ToHost(setup) = self.handle(id)?.request else {
            self.misused(id)?;
            return Ok(0);
        };
        if buffer.len() != usize::from(setup.length) {
            self.set_request(id, RequestStage::Spent)?;
            return Err(Error::new(EINVAL));
        }
        let data = self.request(id, port, setup, Vec::new())?;
        // How much came is not told: the rest is zero.
        buffer.fill(0);
        for (to, from) in buffer.iter_mut().zip(data) {
            *to = from;
        }
        Ok(buffer.len())
    }

    /// The control transfer of an open `request`; a failure spends the file.
    fn request(&mut self, id: usize, port: Port, setup: Setup, data: Vec<u8>) -> Result<Vec<u8>> {
        self.set_request(id, RequestStage::Spent)?;
        self.device(port, EBADF)?;
        let data = self.hub.control(port, setup, data)?;
        self.set_request(id, RequestStage::Idle)?;
        Ok(data)
    }

    fn set_request(&mut self, id: usize, stage: RequestStage) -> Result<()> {
        let handle = self.handles.get_mut(id).ok_or(Error::new(EBADF))?;
        handle.request = stage;
        Ok(())
    }

    /// A call out of turn. After a failed one Redox's xhcid would not survive it.
    fn misused(&mut self, id: usize) -> Result<()> {
        if self.handle(id)?.request == RequestStage::Spent {
            log::error!(
                "xhcid: a request file was used after a failure, which Redox's xhcid does not survive"
            );
        }
        self.set_request(id, RequestStage::Spent)?;
        Err(Error::new(EBADF))
    }
}
