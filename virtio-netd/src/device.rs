//! From reset to DRIVER_OK (virtio 3.1.1, 5.1.5): one life of the card.

use netscheme::frame::{ETHERNET_HEADER, VLAN_TAG};
use virtio_core::device::{FeaturesOk, Known, Running};
use virtio_core::{Device, Features, Pool, QueueOptions, SplitQueue, Wishes};

use crate::config::{Config, FEATURE_NAMES, MAC, MTU, SPEED_DUPLEX, STATUS};
use crate::error::Error;
use crate::hardware::Hardware;
use crate::header::HEADER_LENGTH;
use crate::receive;

/// The receive queue (virtio 5.1.2).
const RECEIVE_QUEUE: u16 = 0;
/// The transmit queue.
const TRANSMIT_QUEUE: u16 = 1;

/// Descriptors of a queue, where the device has as many: what a burst can fill before the driver
/// runs.
const QUEUE_SIZE: u16 = 1024;

/// Bytes of buffers for a queue. Frames of 1500 bytes stay far below; for larger ones the queue is
/// shorter instead.
const QUEUE_MEMORY: usize = 4 << 20;

/// How often the status of a device is read that does not come out of its reset: a part of a second
/// on the slowest machine seen.
const RESET_POLLS: u32 = 20_000;

/// A card that runs, and what its life was given.
pub(crate) struct Life {
    pub(crate) device: Device<Running>,
    pub(crate) receive: SplitQueue,
    pub(crate) transmit: SplitQueue,
    pub(crate) pools: Pools,
    /// Its configuration after DRIVER_OK.
    pub(crate) config: Config,
    /// Its MTU in bytes.
    pub(crate) mtu: u16,
}

/// The buffers of both queues.
#[derive(Clone, Debug)]
pub(crate) struct Pools {
    pub(crate) receive: Pool,
    pub(crate) transmit: Pool,
}

/// The longest frame of a network with this MTU, in bytes from the destination address on, with a
/// VLAN tag.
pub(crate) fn longest_frame(mtu: u16) -> usize {
    usize::from(mtu)
        .saturating_add(ETHERNET_HEADER)
        .saturating_add(VLAN_TAG)
}

/// Resets the card and brings it up. `pools` are those of the life before, if there was one, with
/// every buffer in them.
pub(crate) fn bring_up(hardware: &mut Hardware, pools: Option<Pools>) -> Result<Life, Error> {
    let device = Device::new(hardware.transport.clone(), RESET_POLLS)?
        .acknowledge()?
        .driver()?;
    // virtio 3.1.1, step 4: the configuration may be read before the features are chosen.
    let offered = device.offered();
    let mtu = device
        .config(|registers| Config::read(registers, offered))?
        .mtu();
    let mut device = negotiate(device, hardware, mtu.is_ok())?;
    let mtu = mtu.unwrap_or_else(|refused| {
        log::warn!(
            "the device asks for an MTU of {refused}, with which no network works; {} is used",
            netscheme::frame::DEFAULT_MTU
        );
        netscheme::frame::DEFAULT_MTU
    });
    device.set_config_vector(hardware.config_vector)?;
    let buffer_length = HEADER_LENGTH.saturating_add(longest_frame(mtu));
    let mut receive = queue(&mut device, hardware, RECEIVE_QUEUE, buffer_length)?;
    let transmit = queue(&mut device, hardware, TRANSMIT_QUEUE, buffer_length)?;
    let pools = make_pools(hardware, pools, &receive, &transmit, buffer_length)?;
    // virtio 5.1.6.3: the receive queue is filled before the device is live, and rung for after it.
    receive::fill(&pools.receive, &mut receive)?;
    let device = device.driver_ok()?;
    let accepted = device.agreed().accepted;
    // Only now: a change before the vector was set would have gone unheard.
    let config = device.config(|registers| Config::read(registers, accepted))?;
    Ok(Life {
        device,
        receive,
        transmit,
        pools,
        config,
        mtu,
    })
}

fn negotiate(
    device: Device<Known>,
    hardware: &Hardware,
    with_mtu: bool,
) -> Result<Device<FeaturesOk>, Error> {
    let wanted = MAC | STATUS | SPEED_DUPLEX | Features::EVENT_IDX;
    let wishes = Wishes {
        required: Features::NONE,
        wanted: if with_mtu { wanted | MTU } else { wanted },
        platform_addresses: hardware.addresses_are_the_bus,
        names: FEATURE_NAMES,
    };
    let device = device.negotiate(&wishes)?;
    let agreed = device.agreed();
    log::info!("features: {}", agreed.accepted.named(FEATURE_NAMES));
    log::debug!("features offered: {}", agreed.offered.named(FEATURE_NAMES));
    if let Some(note) = agreed.platform_note() {
        log::warn!("{note}");
    }
    Ok(device)
}

fn queue(
    device: &mut Device<FeaturesOk>,
    hardware: &mut Hardware,
    index: u16,
    buffer_length: usize,
) -> Result<SplitQueue, Error> {
    let most = QUEUE_MEMORY
        .checked_div(buffer_length)
        .and_then(|count| u16::try_from(count).ok())
        .unwrap_or(QUEUE_SIZE);
    // A frame and its header lie in one buffer, so there is nothing to be gained from indirect
    // tables.
    let options = QueueOptions {
        index,
        size: most.clamp(1, QUEUE_SIZE),
        vector: hardware.queue_vector,
        indirect: 0,
    };
    Ok(device.queue(options, &mut hardware.memory)?)
}

/// A buffer for every descriptor: those of the last life, if they still fit.
fn make_pools(
    hardware: &mut Hardware,
    last: Option<Pools>,
    receive: &SplitQueue,
    transmit: &SplitQueue,
    buffer_length: usize,
) -> Result<Pools, Error> {
    let fits = |pool: &Pool, queue: &SplitQueue| {
        pool.count() == usize::from(queue.size()) && pool.buffer_length() == buffer_length
    };
    match last {
        Some(last) if fits(&last.receive, receive) && fits(&last.transmit, transmit) => Ok(last),
        _ => Ok(Pools {
            receive: hardware.memory.pool(receive.size().into(), buffer_length)?,
            transmit: hardware
                .memory
                .pool(transmit.size().into(), buffer_length)?,
        }),
    }
}
