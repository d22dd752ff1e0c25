//! The interrupt controller: where interrupts come from. `schemes/irq.rs` is how drivers see them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use syscall::flag::EventFlags;

use crate::event::Events;
use crate::scheme::SchemeId;
use crate::wait::lock;

/// Interrupts 0..=15 are the legacy lines, opened without O_CREAT.
pub(crate) const LEGACY: u8 = 16;
/// Interrupts below this number exist (vectors 32..=255).
pub(crate) const TOTAL: u8 = 224;

type OnMask = Arc<dyn Fn(bool) + Send + Sync>;

/// A level-triggered line.
struct Line {
    asserted: bool,
    masked: bool,
    on_mask: Option<OnMask>,
}

struct State {
    /// How often each interrupt rang.
    counts: [usize; TOTAL as usize],
    /// Open handles of interrupts: which handle, which interrupt.
    handles: BTreeMap<usize, u8>,
    /// In the order of reservation. Nothing is ever given back (kernel idt.rs): every restart of a driver takes fresh ones.
    reserved: Vec<u8>,
    /// Interrupts that something can ring, and which entry of `provide_msi_vectors` that is.
    sources: BTreeMap<u8, Option<usize>>,
    lines: BTreeMap<u8, Line>,
    phandles: HashMap<(u32, Vec<u32>), u8>,
    provided: usize,
    epoll: Option<Arc<Epoll>>,
}

struct Epoll {
    epoll: OwnedFd,
    stop: OwnedFd,
    /// Kept open while they are watched.
    sources: Mutex<HashMap<u64, OwnedFd>>,
}

const STOP: u64 = u64::MAX;

/// The machine's interrupts, as the lab drives them. Everything rings on CPU 0.
pub struct IrqController {
    id: SchemeId,
    events: Arc<Events>,
    state: Mutex<State>,
    stray_acks: AtomicU64,
}

impl fmt::Debug for IrqController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqController")
            .field("reserved", &self.reserved())
            .finish_non_exhaustive()
    }
}

impl IrqController {
    pub(crate) fn new(id: SchemeId, events: Arc<Events>) -> Self {
        let state = State {
            counts: [0; TOTAL as usize],
            handles: BTreeMap::new(),
            reserved: Vec::new(),
            sources: BTreeMap::new(),
            lines: BTreeMap::new(),
            phandles: HashMap::new(),
            provided: 0,
            epoll: None,
        };
        Self {
            id,
            events,
            state: Mutex::new(state),
            stray_acks: AtomicU64::new(0),
        }
    }

    pub(crate) fn id(&self) -> SchemeId {
        self.id
    }

    /// Makes `source` (an eventfd) ring interrupt `irq` (the vector minus 32, from 16 to 223) as an edge: every time it becomes readable it is read
    /// and the interrupt rings once. The interrupt is listed in `/scheme/irq/cpu-00` until a driver reserves it.
    /// The file becomes non-blocking. An `irq` that does not exist is ignored.
    pub fn connect_msi(&self, irq: u8, source: OwnedFd) {
        self.connect(irq, None, source);
    }

    /// A pool of interrupt sources: each takes the first interrupt from 16 upwards that has no source yet, is listed in `/scheme/irq/cpu-00` and waits
    /// for a driver to reserve it with O_CREAT. Gives the interrupts in the order of `sources`, as many as there is room for.
    pub fn provide_msi_vectors(&self, sources: Vec<OwnedFd>) -> Vec<u8> {
        let mut irqs = Vec::new();
        for source in sources {
            let mut state = lock(&self.state);
            let Some(irq) = (LEGACY..TOTAL).find(|irq| !state.sources.contains_key(irq)) else {
                break;
            };
            let index = state.provided;
            state.provided += 1;
            drop(state);
            self.connect(irq, Some(index), source);
            irqs.push(irq);
        }
        irqs
    }

    /// Which of all the sources that `provide_msi_vectors` was given (counted from 0) rings `irq`: what an MSI message for the vector
    /// `irq + 32` has to reach.
    pub fn source_of(&self, irq: u8) -> Option<usize> {
        lock(&self.state).sources.get(&irq).copied().flatten()
    }

    /// The interrupts that drivers have reserved so far, in the order of reservation.
    pub fn reserved(&self) -> Vec<u8> {
        lock(&self.state).reserved.clone()
    }

    /// How often `irq` rang.
    pub fn count(&self, irq: u8) -> usize {
        lock(&self.state)
            .counts
            .get(usize::from(irq))
            .copied()
            .unwrap_or(0)
    }

    /// Acknowledgements of interrupts that are not level-triggered lines. On a real machine some of them unmask a pin of the I/O APIC that is
    /// somebody else's: drivers must not write them.
    pub fn stray_acks(&self) -> u64 {
        self.stray_acks.load(Ordering::Relaxed)
    }

    /// Rings `irq` once, as an edge.
    pub fn raise(&self, irq: u8) {
        let handles: Vec<usize> = {
            let mut state = lock(&self.state);
            let Some(count) = state.counts.get_mut(usize::from(irq)) else {
                return;
            };
            *count = count.wrapping_add(1);
            state
                .handles
                .iter()
                .filter(|(_, of)| **of == irq)
                .map(|(handle, _)| *handle)
                .collect()
        };
        for handle in handles {
            self.events.trigger(self.id, handle, EventFlags::EVENT_READ);
        }
    }

    /// Declares `irq` a level-triggered line (INTx). `on_mask(true)` is called when the kernel masks it, which it does each time it rings,
    /// `on_mask(false)` when a driver's acknowledgement unmasks it.
    pub fn connect_line(&self, irq: u8, on_mask: impl Fn(bool) + Send + Sync + 'static) {
        let mut state = lock(&self.state);
        let line = state.lines.entry(irq).or_insert(Line {
            asserted: false,
            masked: false,
            on_mask: None,
        });
        line.on_mask = Some(Arc::new(on_mask));
    }

    /// Gives `irq` the name that a device tree has for it: `/scheme/irq/phandle-<phandle>/<specifier, numbers with commas>`.
    pub fn connect_phandle(&self, phandle: u32, specifier: &[u32], irq: u8) {
        let mut state = lock(&self.state);
        state.phandles.insert((phandle, specifier.to_vec()), irq);
        state.lines.entry(irq).or_insert(Line {
            asserted: false,
            masked: false,
            on_mask: None,
        });
    }

    /// The line is asserted: it rings, unless it is masked, and again at each acknowledgement until it is lowered.
    pub fn raise_line(&self, irq: u8) {
        lock(&self.state)
            .lines
            .entry(irq)
            .or_insert(Line {
                asserted: false,
                masked: false,
                on_mask: None,
            })
            .asserted = true;
        self.deliver_line(irq);
    }

    /// The line is released.
    pub fn lower_line(&self, irq: u8) {
        if let Some(line) = lock(&self.state).lines.get_mut(&irq) {
            line.asserted = false;
        }
    }

    fn deliver_line(&self, irq: u8) {
        let on_mask = {
            let mut state = lock(&self.state);
            match state.lines.get_mut(&irq) {
                Some(line) if line.asserted && !line.masked => {
                    line.masked = true;
                    line.on_mask.clone()
                }
                _ => return,
            }
        };
        if let Some(on_mask) = on_mask {
            on_mask(true);
        }
        self.raise(irq);
    }

    /// A driver wrote the current count: the line may ring again.
    pub(crate) fn acknowledge(&self, irq: u8) {
        let on_mask = {
            let mut state = lock(&self.state);
            match state.lines.get_mut(&irq) {
                Some(line) => {
                    let was_masked = std::mem::replace(&mut line.masked, false);
                    line.on_mask.clone().filter(|_| was_masked)
                }
                None => {
                    drop(state);
                    self.stray_acks.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        };
        if let Some(on_mask) = on_mask {
            on_mask(false);
        }
        self.deliver_line(irq);
    }

    /// Interrupts of CPU 0 that a driver can reserve.
    pub(crate) fn available(&self) -> Vec<u8> {
        let state = lock(&self.state);
        state
            .sources
            .keys()
            .filter(|irq| !state.reserved.contains(irq))
            .copied()
            .collect()
    }

    /// Reserves `irq`; false when it is taken.
    pub(crate) fn reserve(&self, irq: u8) -> bool {
        let mut state = lock(&self.state);
        if state.reserved.contains(&irq) {
            return false;
        }
        state.reserved.push(irq);
        true
    }

    pub(crate) fn phandle(&self, phandle: u32, specifier: &[u32]) -> Option<u8> {
        lock(&self.state)
            .phandles
            .get(&(phandle, specifier.to_vec()))
            .copied()
    }

    pub(crate) fn phandle_exists(&self, phandle: u32) -> bool {
        lock(&self.state)
            .phandles
            .keys()
            .any(|(known, _)| *known == phandle)
    }

    pub(crate) fn add_handle(&self, handle: usize, irq: u8) {
        lock(&self.state).handles.insert(handle, irq);
    }

    pub(crate) fn remove_handle(&self, handle: usize) {
        lock(&self.state).handles.remove(&handle);
    }

    fn connect(&self, irq: u8, index: Option<usize>, source: OwnedFd) {
        if !(LEGACY..TOTAL).contains(&irq) {
            return;
        }
        let Some(watch) = self.watch() else { return };
        lock(&self.state).sources.insert(irq, index);
        let _ =
            fcntl_getfl(&source).and_then(|flags| fcntl_setfl(&source, flags | OFlags::NONBLOCK));
        let data = epoll::EventData::new_u64(u64::from(irq));
        if epoll::add(&watch.epoll, &source, data, epoll::EventFlags::IN).is_ok() {
            lock(&watch.sources).insert(u64::from(irq), source);
        }
    }

    /// The thread that waits for all sources; it exists once there is one.
    fn watch(&self) -> Option<Arc<Epoll>> {
        lock(&self.state).epoll.clone()
    }

    /// Starts the thread. Needs the `Arc`, for the thread must not keep the machine alive.
    pub(crate) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let watch = Arc::new(Epoll {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            sources: Mutex::default(),
        });
        epoll::add(
            &watch.epoll,
            &watch.stop,
            epoll::EventData::new_u64(STOP),
            epoll::EventFlags::IN,
        )?;
        lock(&self.state).epoll = Some(Arc::clone(&watch));
        let controller = Arc::downgrade(self);
        std::thread::Builder::new()
            .name("irq".into())
            .spawn(move || {
                while let Some(irqs) = watch.wait() {
                    let Some(controller) = controller.upgrade() else {
                        return;
                    };
                    irqs.into_iter().for_each(|irq| controller.raise(irq));
                }
            })?;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        let watch = lock(&self.state).epoll.take();
        if let Some(watch) = watch {
            let _ = rustix::io::write(&watch.stop, &1u64.to_ne_bytes());
        }
    }
}

impl Epoll {
    /// The interrupts that rang; None at the end.
    fn wait(&self) -> Option<Vec<u8>> {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                None,
            ) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        let mut irqs = Vec::new();
        for event in &events {
            let key = event.data.u64();
            if key == STOP {
                return None;
            }
            if self.take(key) {
                irqs.extend(u8::try_from(key));
            }
        }
        Some(irqs)
    }

    /// Empties a source; false when there was nothing, or never will be again.
    fn take(&self, key: u64) -> bool {
        let mut sources = lock(&self.sources);
        let Some(source) = sources.get(&key) else {
            return false;
        };
        match rustix::io::read(source.as_fd(), &mut [0u8; 8]) {
            Ok(count) if count > 0 => true,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
            // The other end is closed.
            Ok(_) | Err(_) => {
                let _ = epoll::delete(&self.epoll, source);
                drop(sources.remove(&key));
                false
            }
        }
    }
}
