//! The vfio-user backend: a card behind a socket.
//!
//! Owns what the requests of [`Device`] are as messages, and what of the answers is believed. Framing and deadlines are
//! [`connection`]'s.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use vfio_bindings::bindings::vfio as abi;
use zerocopy::IntoBytes;

use super::{Bar, Device, DeviceError, DmaMem, IovaSpace, MappedBar, RegionIo};

mod connection;
mod protocol;

use connection::{Connection, Reply};
use protocol::{
    Command, DeviceInfo, DmaMap, DmaUnmap, IrqInfo, IrqSet, RegionAccess, RegionInfo, Version,
    argsz,
};

/// How long a server may take to answer.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest BAR that is believed.
const MAX_BAR: u64 = 1 << 32;
/// How long a busy card is asked again.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(5);

/// A function behind a vfio-user socket.
pub struct VfioUser {
    name: Arc<str>,
    /// The connection's stream once more: to see whether it lives without waiting for its owner.
    stream: Arc<UnixStream>,
    link: Arc<Link>,
    max_fds: usize,
    config_bytes: u64,
    addresses: Mutex<IovaSpace>,
}

/// What trapped BARs share with the function.
struct Link {
    connection: Mutex<Connection>,
    max_transfer: usize,
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl VfioUser {
    /// Connects to the server at `path` and learns what it serves.
    ///
    /// # Errors
    /// When nobody serves there within `timeout`, somebody else owns the card, or the server is none that this client understands.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, DeviceError> {
        Self::connect_while(path, timeout, timeout, || Ok(()))
    }

    /// As [`VfioUser::connect`], trying until `patience` has passed; `still` is asked between attempts and ends them with its error.
    pub(super) fn connect_while(
        path: &Path,
        timeout: Duration,
        patience: Duration,
        mut still: impl FnMut() -> Result<(), DeviceError>,
    ) -> Result<Self, DeviceError> {
        let name = format!("the simulator at {}", path.display());
        let cannot = |reason: String| DeviceError::Open {
            device: name.clone(),
            reason,
        };
        let begun = Instant::now();
        // Somebody who waits for a server of his own waits for the socket to appear, others for room in its queue only.
        let waits_for_server = patience > timeout;
        loop {
            match try_connect(path) {
                Ok(stream) => match Self::over(stream, &name, timeout) {
                    // A host that has just gone may still be being cleaned up after.
                    Err(DeviceError::Busy { .. }) if begun.elapsed() < BUSY_PATIENCE => {}
                    other => return other,
                },
                Err(Errno::AGAIN) if begun.elapsed() < patience => {}
                Err(Errno::NOENT | Errno::CONNREFUSED)
                    if waits_for_server && begun.elapsed() < patience => {}
                Err(Errno::NOENT) => return Err(cannot("there is no such socket".to_owned())),
                Err(Errno::CONNREFUSED) => {
                    return Err(cannot("nobody listens on the socket".to_owned()));
                }
                Err(errno) => return Err(cannot(errno.to_string())),
            }
            still()?;
            std::thread::sleep(CONNECT_PAUSE);
        }
    }

    /// Takes a connected stream. `name` is the server in messages.
    ///
    /// # Errors
    /// When the server is none that this client understands.
    pub fn over(stream: UnixStream, name: &str, timeout: Duration) -> Result<Self, DeviceError> {
        let name: Arc<str> = name.into();
        let stream = Arc::new(stream);
        let mut connection = Connection::new(Arc::clone(&stream), Arc::clone(&name), timeout);
        // A server that serves one client at a time refuses the next, or closes at once.
        let capabilities = negotiate(&mut connection).map_err(|error| match error {
            DeviceError::Closed { .. } | DeviceError::Refused { .. } => DeviceError::Busy {
                device: name.to_string(),
                how: "refuses another connection".to_owned(),
            },
            other => other,
        })?;
        check_device(&mut connection)?;
        let config = region_info(&mut connection, abi::VFIO_PCI_CONFIG_REGION_INDEX)?.0;
        Ok(Self {
            name,
            stream,
            link: Arc::new(Link {
                connection: Mutex::new(connection),
                max_transfer: capabilities.max_transfer,
            }),
            max_fds: capabilities.max_fds,
            config_bytes: config.size.get(),
            addresses: Mutex::default(),
        })
    }

    /// Ends the connection: a host reset for the card. Every later access fails.
    pub fn close(&self) {
        // Already closed is as good.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    fn lock_addresses(&self) -> MutexGuard<'_, IovaSpace> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn check_config(&self, offset: u16, bytes: usize) -> Result<u64, DeviceError> {
        let offset = u64::from(offset);
        if offset + bytes as u64 <= self.config_bytes {
            return Ok(offset);
        }
        Err(DeviceError::OutOfRange {
            region: "configuration space".to_owned(),
            offset,
            bytes,
            length: self.config_bytes,
        })
    }
}

/// Connects without waiting: a server whose queue is full answers `EAGAIN`.
fn try_connect(path: &Path) -> Result<UnixStream, Errno> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// What the server can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Capabilities {
    max_fds: usize,
    max_transfer: usize,
}

fn negotiate(connection: &mut Connection) -> Result<Capabilities, DeviceError> {
    let doing = "negotiating the version";
    let version = Version {
        major: protocol::MAJOR.into(),
        minor: protocol::MINOR.into(),
    };
    let offer = serde_json::json!({ "capabilities": { "max_msg_fds": protocol::MAX_FDS, "max_data_xfer_size": protocol::MAX_TRANSFER } });
    let reply = connection.call(
        Command::Version,
        &[version.as_bytes(), offer.to_string().as_bytes(), &[0]],
        &[],
        doing,
    )?;
    let Some((theirs, text)) = reply.parse::<Version>() else {
        return Err(connection.break_off(doing, "a reply without version".to_owned()));
    };
    if theirs.major.get() != protocol::MAJOR || theirs.minor.get() > protocol::MINOR {
        let reason = format!(
            "it speaks version {}.{}, this host {}.{}",
            theirs.major,
            theirs.minor,
            protocol::MAJOR,
            protocol::MINOR
        );
        return Err(connection.break_off(doing, reason));
    }
    capabilities(text).map_err(|reason| connection.break_off(doing, reason))
}

/// Reads the server's capabilities; what it does not say has the protocol's default.
fn capabilities(text: &[u8]) -> Result<Capabilities, String> {
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    let json: serde_json::Value = if text.is_empty() {
        serde_json::Value::Null
    } else {
        serde_json::from_slice(text).map_err(|e| format!("capabilities that are no JSON: {e}"))?
    };
    let number =
        |key: &str, default: u64, most: u64| match json.pointer(&format!("/capabilities/{key}")) {
            None => Ok(default),
            Some(value) => match value.as_u64() {
                Some(value @ 1..) => Ok(value.min(most)),
                _ => Err(format!("capability {key} is {value}")),
            },
        };
    let max_fds = number("max_msg_fds", 1, protocol::MAX_FDS as u64)? as usize;
    let max_transfer = number(
        "max_data_xfer_size",
        protocol::MAX_TRANSFER,
        protocol::MAX_TRANSFER,
    )? as usize;
    Ok(Capabilities {
        max_fds,
        max_transfer,
    })
}

fn check_device(connection: &mut Connection) -> Result<(), DeviceError> {
    let doing = "asking what it is";
    let ask = DeviceInfo {
        argsz: argsz::<DeviceInfo>(),
        ..DeviceInfo::default()
    };
    let reply = connection.call(Command::GetInfo, &[ask.as_bytes()], &[], doing)?;
    let Some((info, _)) = reply.parse::<DeviceInfo>() else {
        return Err(connection.break_off(
            doing,
            format!("{} bytes of device information", reply.body.len()),
        ));
    };
    let wrong = if info.flags.get() & abi::VFIO_DEVICE_FLAGS_PCI == 0 {
        "it serves no PCI function".to_owned()
    } else if info.num_regions.get() <= abi::VFIO_PCI_CONFIG_REGION_INDEX {
        format!("a PCI function with {} regions", info.num_regions)
    } else if info.num_irqs.get() <= abi::VFIO_PCI_MSIX_IRQ_INDEX {
        format!(
            "a PCI function without MSI-X ({} kinds of interrupts)",
            info.num_irqs
        )
    } else {
        return Ok(());
    };
    Err(connection.break_off(doing, wrong))
}

fn region_info(
    connection: &mut Connection,
    index: u32,
) -> Result<(RegionInfo, Reply), DeviceError> {
    let doing = format!("asking about region {index}");
    let ask = RegionInfo {
        argsz: argsz::<RegionInfo>(),
        index: index.into(),
        ..RegionInfo::default()
    };
    let reply = connection.call(Command::GetRegionInfo, &[ask.as_bytes()], &[], &doing)?;
    let Some((info, _)) = reply.parse::<RegionInfo>() else {
        return Err(connection.break_off(
            &doing,
            format!("{} bytes of region information", reply.body.len()),
        ));
    };
    if info.index.get() != index || info.size.get() > MAX_BAR {
        let reason = format!(
            "region {} of {:#x} bytes where region {index} was asked",
            info.index, info.size
        );
        return Err(connection.break_off(&doing, reason));
    }
    Ok((info, reply))
}

impl RegionIo for Link {
    fn region_read(&self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let mut connection = self.lock();
        let mut at = offset;
        for part in data.chunks_mut(self.max_transfer) {
            let doing = format!("reading {} bytes at {at:#x} of region {region}", part.len());
            let access = RegionAccess {
                offset: at.into(),
                region: region.into(),
                count: (part.len() as u32).into(),
            };
            let reply = connection.call(Command::RegionRead, &[access.as_bytes()], &[], &doing)?;
            match reply.parse::<RegionAccess>() {
                Some((echo, read)) if echo == access && read.len() == part.len() => {
                    part.copy_from_slice(read)
                }
                _ => {
                    let reason = format!(
                        "a reply of {} bytes that does not answer it",
                        reply.body.len()
                    );
                    return Err(connection.break_off(&doing, reason));
                }
            }
            at += part.len() as u64;
        }
        Ok(())
    }

    fn region_write_posted(
        &self,
        region: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<(), DeviceError> {
        let access = RegionAccess {
            offset: offset.into(),
            region: region.into(),
            count: (data.len() as u32).into(),
        };
        self.lock().post(
            Command::RegionWrite,
            &[access.as_bytes(), data],
            "writing a register",
        )
    }
}

impl Device for VfioUser {
    fn name(&self) -> &str {
        &self.name
    }

    fn config_read(&self, offset: u16, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = self.check_config(offset, data.len())?;
        self.link
            .region_read(abi::VFIO_PCI_CONFIG_REGION_INDEX, at, data)
    }

    fn config_write(&self, offset: u16, data: &[u8]) -> Result<(), DeviceError> {
        let at = self.check_config(offset, data.len())?;
        let doing = format!(
            "writing {} bytes at {at:#x} of configuration space",
            data.len()
        );
        let access = RegionAccess {
            offset: at.into(),
            region: abi::VFIO_PCI_CONFIG_REGION_INDEX.into(),
            count: (data.len() as u32).into(),
        };
        // Not posted: what it switches must be on before the next message.
        self.link
            .lock()
            .call(
                Command::RegionWrite,
                &[access.as_bytes(), data],
                &[],
                &doing,
            )
            .map(|_| ())
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        let region = abi::VFIO_PCI_BAR0_REGION_INDEX + u32::from(index);
        let cannot = |reason: &str| DeviceError::Open {
            device: self.name.to_string(),
            reason: format!("BAR{index} {reason}"),
        };
        if region > abi::VFIO_PCI_BAR5_REGION_INDEX {
            return Err(cannot("does not exist"));
        }
        let (info, mut reply) = region_info(&mut self.link.lock(), region)?;
        let (flags, len) = (info.flags.get(), info.size.get());
        if len == 0 {
            return Err(cannot("is empty"));
        }
        if flags & abi::VFIO_REGION_INFO_FLAG_READ == 0
            || flags & abi::VFIO_REGION_INFO_FLAG_WRITE == 0
        {
            return Err(cannot("cannot be read and written"));
        }
        // With capabilities only parts may be mapped.
        let mappable = flags & abi::VFIO_REGION_INFO_FLAG_MMAP != 0
            && flags & abi::VFIO_REGION_INFO_FLAG_CAPS == 0;
        if let Some(file) = reply.fds.pop_front().filter(|_| mappable)
            && let Some(bar) = MappedBar::of_sealed(file.as_fd(), info.offset.get(), len)
        {
            return Ok(Bar::Mapped(Arc::new(bar?)));
        }
        Ok(Bar::Trapped {
            io: Arc::clone(&self.link) as Arc<dyn RegionIo>,
            region,
            len,
        })
    }

    fn dma_map(&self, memory: &DmaMem) -> Result<u64, DeviceError> {
        let doing = format!("mapping {:#x} bytes for DMA", memory.len());
        let mut addresses = self.lock_addresses();
        let size = memory.len() as u64;
        let address = addresses
            .find(size)
            .ok_or_else(|| DeviceError::system(doing.as_str(), std::io::ErrorKind::StorageFull))?;
        let map = DmaMap {
            argsz: argsz::<DmaMap>(),
            flags: (abi::VFIO_DMA_MAP_FLAG_READ | abi::VFIO_DMA_MAP_FLAG_WRITE).into(),
            offset: 0.into(),
            address: address.into(),
            size: size.into(),
        };
        self.link
            .lock()
            .call(Command::DmaMap, &[map.as_bytes()], &[memory.file()], &doing)?;
        addresses.take(address, size);
        Ok(address)
    }

    fn dma_unmap(&self, iova: u64, bytes: usize) -> Result<(), DeviceError> {
        let doing = format!("unmapping {bytes:#x} bytes at {iova:#x}");
        let mut addresses = self.lock_addresses();
        if !addresses.holds(iova, bytes as u64) {
            return Err(DeviceError::Refused {
                device: self.name.to_string(),
                doing,
                reason: "there is no such mapping".to_owned(),
            });
        }
        let unmap = DmaUnmap {
            argsz: argsz::<DmaUnmap>(),
            flags: 0.into(),
            address: iova.into(),
            size: (bytes as u64).into(),
        };
        self.link
            .lock()
            .call(Command::DmaUnmap, &[unmap.as_bytes()], &[], &doing)?;
        addresses.release(iova);
        Ok(())
    }

    fn enable_msix(&self, vectors: u16) -> Result<Vec<OwnedFd>, DeviceError> {
        let doing = "enabling MSI-X";
        let mut connection = self.link.lock();
        let ask = IrqInfo {
            argsz: argsz::<IrqInfo>(),
            index: abi::VFIO_PCI_MSIX_IRQ_INDEX.into(),
            ..IrqInfo::default()
        };
        let reply = connection.call(Command::GetIrqInfo, &[ask.as_bytes()], &[], doing)?;
        let info = reply
            .parse::<IrqInfo>()
            .map(|(info, _)| info)
            .filter(|info| info.index == ask.index);
        let Some(info) = info else {
            return Err(connection.break_off(
                doing,
                format!("{} bytes of interrupt information", reply.body.len()),
            ));
        };
        if info.count.get() < vectors.into() || info.flags.get() & abi::VFIO_IRQ_INFO_EVENTFD == 0 {
            let reason = format!(
                "it has {} MSI-X vectors (flags {:#x}), {vectors} are needed",
                info.count, info.flags
            );
            return Err(DeviceError::Refused {
                device: self.name.to_string(),
                doing: doing.to_owned(),
                reason,
            });
        }
        let eventfds = (0..vectors)
            .map(|_| {
                eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
                    .map_err(|e| DeviceError::system("making an eventfd", e))
            })
            .collect::<Result<Vec<_>, _>>()?;
        for (chunk, fds) in eventfds.chunks(self.max_fds).enumerate() {
            let set = IrqSet {
                argsz: ((size_of::<IrqSet>() + 4 * fds.len()) as u32).into(),
                flags: (abi::VFIO_IRQ_SET_DATA_EVENTFD | abi::VFIO_IRQ_SET_ACTION_TRIGGER).into(),
                index: abi::VFIO_PCI_MSIX_IRQ_INDEX.into(),
                start: ((chunk * self.max_fds) as u32).into(),
                count: (fds.len() as u32).into(),
            };
            let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            connection.call(Command::SetIrqs, &[set.as_bytes()], &fds, doing)?;
        }
        Ok(eventfds)
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.link
            .lock()
            .call(Command::Reset, &[], &[], "resetting the function")
            .map(|_| ())
    }

    fn gone(&self, doing: &str) -> Option<DeviceError> {
        // Without the lock: its owner may be waiting for an answer. A connection that has failed was shut down.
        let mut fds = [PollFd::new(&*self.stream, PollFlags::RDHUP)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut fds, Some(&now)), Ok(ready) if ready > 0).then(|| DeviceError::Closed {
            device: self.name.to_string(),
            doing: doing.to_owned(),
        })
    }

    fn death(&self) -> Option<PollFd<'_>> {
        // Not IN: the socket may hold messages that belong to nobody who sleeps.
        Some(PollFd::new(&*self.stream, PollFlags::RDHUP))
    }
}

#[cfg(test)]
mod tests;
