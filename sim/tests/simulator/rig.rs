//! A simulator in a thread of the test: reference model, in-process wire, socket in a folder of its own.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guideway_hdl::descriptors::{Command as CardCommand, Completion, Opcode};
use guideway_sim::card::Card;
use guideway_sim::control::Control;
use guideway_sim::device::{Device, Options, Pace};
use guideway_sim::reference::ReferenceCard;
use guideway_sim::registers::{card, ring};
use guideway_sim::time::TimeMode;
use guideway_sim::vfio_user::server::Server;
use guideway_sim::wire::Wire;
use guideway_sim::wire::in_process::{InProcessPeer, in_process};
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::Pid;
use rustix::thread::gettid;
use tempfile::TempDir;

use crate::client::Client;

/// What every waiting in these tests is bounded by.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub const FREE: Options = Options {
    time: TimeMode::Cycles,
    lockstep: false,
    pace: Pace::Line,
    wait_for_start: false,
    once: false,
};

pub struct Rig {
    folder: TempDir,
    pub wire: Option<InProcessPeer>,
    /// The simulator's thread.
    pub tid: Pid,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    pub fn new() -> Self {
        let (wire, peer) = in_process(true).unwrap();
        let mut rig = Self::with_wire(Box::new(wire), FREE, false);
        rig.wire = Some(peer);
        rig
    }

    pub fn with_wire(wire: Box<dyn Wire>, options: Options, control: bool) -> Self {
        Self::with_card(Box::new(ReferenceCard::new()), wire, options, control)
    }

    pub fn with_card(
        card: Box<dyn Card>,
        wire: Box<dyn Wire>,
        options: Options,
        control: bool,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::bind(&folder.path().join("card")).unwrap();
        let control = control.then(|| Control::bind(&folder.path().join("control")).unwrap());
        let (stop, stopped) = UnixStream::pair().unwrap();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            tell.send(gettid()).unwrap();
            Device::new(card, server, wire, options)
                .with_control(control)
                .run(stopped.as_fd())
                .unwrap();
        });
        Self {
            folder,
            wire: None,
            tid: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("card")
    }

    pub fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    pub fn open(&self) -> Client {
        // The last client may still be taken leave of.
        let start = Instant::now();
        loop {
            let mut client = Client::connect(&self.socket());
            match client.handshake() {
                Ok(_) => return client,
                Err(libc::EBUSY) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                Err(errno) => panic!("no handshake: {errno}"),
            }
        }
    }

    /// The simulator's loop is over.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// The simulator still serves a client.
    pub fn assert_alive(&self) {
        assert_eq!(self.open().read32(0), guideway_hdl::MAGIC);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let start = Instant::now();
            while !thread.is_finished() {
                assert!(start.elapsed() < PATIENCE, "the simulator does not stop");
                std::thread::sleep(Duration::from_millis(1));
            }
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the simulator panicked"
            );
        }
        assert!(
            !self.socket().exists() || std::thread::panicking(),
            "the socket is removed"
        );
    }
}

pub fn memfd(bytes: u64, sealed: bool) -> OwnedFd {
    let file =
        rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&file, bytes).unwrap();
    if sealed {
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
    }
    file
}

pub fn eventfd() -> OwnedFd {
    rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()
}

/// Waits for an interrupt; false when none comes within `patience`.
pub fn interrupted(eventfd: &OwnedFd, patience: Duration) -> bool {
    let timeout = rustix::time::Timespec {
        tv_sec: patience.as_secs() as i64,
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    rustix::event::poll(&mut [PollFd::new(eventfd, PollFlags::IN)], Some(&timeout)).unwrap();
    rustix::io::read(eventfd, &mut [0; 8]).is_ok()
}

/// The command ring with two entries: descriptors in the first, completions in the second page of `base`.
pub struct CommandRing {
    base: u64,
    index: u16,
}

impl CommandRing {
    pub fn start(client: &mut Client, base: u64) -> Self {
        // Bus mastering and memory space.
        client.region_write(7, 4, &[6, 0]).unwrap();
        let write = |client: &mut Client, offset, value: u64| {
            client.write32(card::COMMAND + offset, value as u32);
            client.write32(card::COMMAND + offset + 4, (value >> 32) as u32);
        };
        client.write32(card::COMMAND + ring::CONFIG, 0);
        client.write32(card::COMMAND + ring::DOORBELL, 0);
        write(client, ring::BASE_LOW, base);
        write(client, ring::SECOND_LOW, base + 4096);
        client.write32(card::COMMAND + ring::CONFIG, ring::ENABLE | 1);
        Self { base, index: 0 }
    }

    /// A NOP with `tag`: where its bytes belong, and they.
    pub fn nop(&mut self, tag: u32) -> (u64, [u8; 64]) {
        let command = CardCommand {
            phase: (self.index / 2).is_multiple_of(2),
            opcode: Opcode::Nop as u8,
            tag,
            ..CardCommand::default()
        };
        let at = self.base + u64::from(self.index % 2) * 64;
        self.index = self.index.wrapping_add(1);
        (at, command.to_bytes())
    }

    pub fn ring(&self, client: &mut Client) {
        client.post32(card::COMMAND + ring::DOORBELL, u32::from(self.index));
    }

    /// Where the completion of the last command belongs.
    pub fn completion_at(&self) -> u64 {
        self.base + 4096 + u64::from(self.index.wrapping_sub(1) % 2) * 64
    }

    pub fn is_complete(&self, bytes: &[u8], tag: u32) -> bool {
        let completion = Completion::from_bytes(bytes.try_into().unwrap());
        let phase = (self.index.wrapping_sub(1) / 2).is_multiple_of(2);
        completion.phase == phase && completion.tag == tag && completion.status == 0
    }

    pub fn status(client: &mut Client) -> u32 {
        client.read32(card::COMMAND + ring::STATUS)
    }
}

/// Tries until it is true.
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
