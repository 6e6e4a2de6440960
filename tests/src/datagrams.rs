//! UDP with known bytes, in datagrams larger than any packet: the kernels at both ends cut them and put them together again.

use anyhow::{Context as _, Result, bail};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

/// How long an answer is waited for before the datagram is sent again, and how often that is done.
const WAIT: Duration = Duration::from_secs(2);
const TRIES: u32 = 10;
/// Bytes of a datagram that fits into a packet.
const SMALL: usize = 100;

/// Answers each datagram with this name, a line's end, and the datagram, on threads of its own.
///
/// # Errors
/// When an address cannot be listened on.
pub fn serve(name: &str, listen: &[SocketAddr]) -> Result<()> {
    for address in listen {
        let socket = UdpSocket::bind(address).with_context(|| format!("listening on {address}"))?;
        let name = format!("{name}\n");
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                // one that cannot be answered now is sent again by its client
                let _ = socket.send_to(&[name.as_bytes(), &buffer[..length]].concat(), client);
            }
        });
    }
    Ok(())
}

/// Sends a small datagram and one of `bytes` from each of `count` ports to each address, in turns the large one first, and returns how many
/// ports each backend has answered.
///
/// # Errors
/// When an answer does not come, is not the datagram, or comes from another backend than the port's first one.
pub fn talk(addresses: &[SocketAddr], count: u64, bytes: usize) -> Result<BTreeMap<String, u64>> {
    let mut answered = BTreeMap::new();
    for (seed, &address) in (0..count).flat_map(|seed| addresses.iter().map(move |a| (seed, a))) {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(WAIT))?;
        let sizes = if seed % 2 == 0 {
            [SMALL, bytes]
        } else {
            [bytes, SMALL]
        };
        let first = exchange(&socket, seed, sizes[0])?;
        let second = exchange(&socket, seed, sizes[1])?;
        if first != second {
            bail!("{address}, {sizes:?} bytes: {first} has answered, and then {second}");
        }
        *answered.entry(first).or_default() += 1;
    }
    Ok(answered)
}

/// Sends a datagram and returns who has answered it.
fn exchange(socket: &UdpSocket, seed: u64, bytes: usize) -> Result<String> {
    let sent: Vec<u8> = (0..bytes as u64)
        .map(|i| (i * 7 + i / 251 + seed) as u8)
        .collect();
    let mut buffer = vec![0; 65_536];
    for _ in 0..TRIES {
        socket.send(&sent)?;
        let Ok(length) = socket.recv(&mut buffer) else {
            continue;
        };
        let end = buffer[..length].iter().position(|&byte| byte == b'\n');
        let end = end.context("an answer without a name")?;
        // the answer to an earlier try may come after all: of another size it is no answer to this one
        if length - end - 1 != bytes {
            continue;
        }
        if buffer[end + 1..length] != sent {
            bail!("an answer of {bytes} bytes that is not the datagram");
        }
        return Ok(String::from_utf8_lossy(&buffer[..end]).into_owned());
    }
    bail!("no answer to {bytes} bytes to {:?}", socket.peer_addr())
}
