//! One machine: its schemes, processes, RAM, clock and log. Nothing of it is global; many machines live beside each other in a test.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use syscall::data::GlobalSchemes;
use syscall::flag::O_RDWR;

use crate::context::Context;
use crate::event::{self, EventScheme, Events};
use crate::files::Description;
use crate::host::HostConfig;
use crate::irq::IrqController;
use crate::namespace::{Names, Namespaces};
use crate::ram::SharedRam;
use crate::scheme::{KernelScheme, SchemeId};
use crate::scheme_socket::{CREATION_CAPABILITY, SchemeSockets};
use crate::schemes::file::FileScheme;
use crate::schemes::irq::IrqScheme;
use crate::schemes::log::{Log, LogScheme};
use crate::schemes::memory::MemoryScheme;
use crate::schemes::pipe::PipeScheme;
use crate::schemes::streams::{Stream, StreamScheme};
use crate::schemes::time::{TimeScheme, Timers};
use crate::wait::lock;

/// Numbers of the schemes that are daemons on Redox and built in here.
const NAMESPACES: SchemeId = 17;
const FILE: SchemeId = 18;
const NULL: SchemeId = 19;
const ZERO: SchemeId = 20;
const RAND: SchemeId = 21;
const LOG: SchemeId = 22;
const FIRST_USER_SCHEME: SchemeId = 32;

/// Guest RAM when none is given: nothing but the processes of this machine reaches it.
const OWN_RAM: u64 = 256 << 20;
/// Room behind anonymous mappings; pages that nobody touches cost nothing.
const ANONYMOUS: u64 = 64 << 30;
/// Device address of anonymous memory: where no RAM is, for a device must not be given it.
const ANONYMOUS_BASE: u64 = 1 << 46;

/// The kernel.
pub(crate) struct Machine {
    pub(crate) events: Arc<Events>,
    pub(crate) sockets: Arc<SchemeSockets>,
    pub(crate) memory: Arc<MemoryScheme>,
    pub(crate) irq: Arc<IrqController>,
    pub(crate) log: Arc<Log>,
    null: Arc<StreamScheme>,
    log_scheme: Arc<LogScheme>,
    timers: Arc<Timers>,
    namespaces: Arc<Namespaces>,
    /// The namespace that processes start in.
    root: Arc<Names>,
    contexts: Mutex<HashMap<usize, Weak<Context>>>,
    next_pid: AtomicUsize,
}

impl Machine {
    pub(crate) fn new(config: HostConfig) -> io::Result<Arc<Self>> {
        let ram = match config.ram {
            Some(ram) => ram,
            None => SharedRam::anonymous(OWN_RAM, 0)?,
        };
        let events = Arc::new(Events::default());
        let sockets = Arc::new(SchemeSockets::new(Arc::clone(&events), FIRST_USER_SCHEME));
        let memory = Arc::new(MemoryScheme::new(
            GlobalSchemes::Memory as SchemeId,
            ram,
            SharedRam::anonymous(ANONYMOUS, ANONYMOUS_BASE)?,
        ));
        let irq = Arc::new(IrqController::new(
            GlobalSchemes::Irq as SchemeId,
            Arc::clone(&events),
        ));
        irq.start()?;
        let timers = Arc::new(Timers::new(Arc::clone(&events)));
        let log = Arc::new(Log::default());
        let null = Arc::new(StreamScheme::new(NULL, Stream::Null));
        let log_scheme = Arc::new(LogScheme::new(LOG, Arc::clone(&log), false));
        let creation = Description::new(
            sockets.clone(),
            Arc::clone(&events),
            CREATION_CAPABILITY,
            0,
            false,
            0,
        );
        let namespaces = Arc::new(Namespaces::new(NAMESPACES, Arc::clone(&events), creation));
        let mut names = BTreeMap::new();
        let mut mount = |name: &str, scheme: Arc<dyn KernelScheme>, root: usize| {
            names.insert(
                name.to_owned(),
                Description::new(scheme, Arc::clone(&events), root, 0, false, 0),
            );
        };
        mount(
            "debug",
            Arc::new(LogScheme::new(
                GlobalSchemes::Debug as SchemeId,
                Arc::clone(&log),
                true,
            )),
            LogScheme::ROOT,
        );
        mount(
            "event",
            Arc::new(EventScheme::new(Arc::clone(&events))),
            event::ROOT,
        );
        mount("memory", memory.clone(), MemoryScheme::ROOT);
        mount(
            "pipe",
            Arc::new(PipeScheme::new(
                GlobalSchemes::Pipe as SchemeId,
                Arc::clone(&events),
            )),
            PipeScheme::ROOT,
        );
        mount(
            "irq",
            Arc::new(IrqScheme::new(Arc::clone(&irq))),
            IrqScheme::ROOT,
        );
        mount(
            "time",
            Arc::new(TimeScheme::new(
                GlobalSchemes::Time as SchemeId,
                Arc::clone(&timers),
            )),
            TimeScheme::ROOT,
        );
        mount("null", null.clone(), StreamScheme::ROOT);
        mount(
            "zero",
            Arc::new(StreamScheme::new(ZERO, Stream::Zero)),
            StreamScheme::ROOT,
        );
        mount(
            "rand",
            Arc::new(StreamScheme::new(RAND, Stream::Rand)),
            StreamScheme::ROOT,
        );
        mount("log", log_scheme.clone(), LogScheme::ROOT);
        if let Some(root) = &config.root {
            mount(
                "file",
                Arc::new(FileScheme::new(FILE, root)?),
                FileScheme::ROOT,
            );
        }
        Ok(Arc::new(Self {
            events,
            sockets,
            memory,
            irq,
            log,
            null,
            log_scheme,
            timers,
            namespaces,
            root: Arc::new(Names::new(names)),
            contexts: Mutex::default(),
            // Pid 1 is init's.
            next_pid: AtomicUsize::new(2),
        }))
    }

    /// A description of the root namespace, with all permissions.
    pub(crate) fn root_namespace(&self) -> Arc<Description> {
        self.namespaces.open_root(&self.root)
    }

    /// A description of a namespace with only those schemes of the root.
    pub(crate) fn fork_root_namespace(&self, names: &[String]) -> Arc<Description> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.namespaces.open_fork(&self.root, &names)
    }

    /// What a process finds at descriptors 0, 1 and 2.
    pub(crate) fn open_standard(&self, log: bool) -> Arc<Description> {
        let (scheme, number): (Arc<dyn KernelScheme>, usize) = if log {
            (self.log_scheme.clone(), self.log_scheme.open())
        } else {
            (self.null.clone(), StreamScheme::OPEN)
        };
        Description::new(
            scheme,
            Arc::clone(&self.events),
            number,
            O_RDWR as u32,
            false,
            0,
        )
    }

    /// How many processes are alive.
    pub(crate) fn processes(&self) -> usize {
        lock(&self.contexts).len()
    }

    pub(crate) fn next_pid(&self) -> usize {
        self.next_pid.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn remember(&self, context: &Arc<Context>) {
        lock(&self.contexts).insert(context.pid(), Arc::downgrade(context));
    }

    pub(crate) fn forget(&self, pid: usize) {
        lock(&self.contexts).remove(&pid);
    }

    /// The process of that number.
    pub(crate) fn find(&self, pid: usize) -> Option<Arc<Context>> {
        lock(&self.contexts).get(&pid).and_then(Weak::upgrade)
    }

    /// Ends every process and the machine's own threads.
    pub(crate) fn power_off(&self) {
        let contexts: Vec<_> = lock(&self.contexts)
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        contexts.iter().for_each(Context::end);
        self.irq.stop();
        self.timers.stop();
    }
}
