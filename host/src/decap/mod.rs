//! A decapsulator for backends whose kernel has no IPIP, GRE or GUE: it strips the outer headers and gives the inner packet to the local stack.
//!
//! Owns the loop between two interfaces. What an encapsulated packet looks like is [`strip`]'s, reaching interfaces
//! [`packet_socket`]'s.

#[allow(unsafe_code)] // AF_PACKET: socket, bind, recvfrom with the sender's address
pub mod packet_socket;
pub mod strip;

use std::io;

use packet_socket::PacketSocket;
use strip::{NotEncapsulated, strip};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// A frame's buffer: offloading may have joined segments up to 64 KiB.
const BUFFER: usize = ETHERNET + 65_575 + 40;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Inner packets given to the local stack.
    pub delivered: u64,
    /// Encapsulated packets that could not be taken apart.
    pub malformed: u64,
    /// Inner packets that the interface refused.
    pub refused: u64,
}

/// From one interface, without the outer header, into another.
pub struct Decapsulator {
    from: PacketSocket,
    to: PacketSocket,
    ethernet: [u8; 12],
    gue_port: u16,
    buffer: Vec<u8>,
    /// What was done.
    pub stats: Stats,
}

impl Decapsulator {
    /// Takes encapsulated packets that arrive on `from`, and puts their inner packets on `to`, addressed to the station `to_mac`.
    /// GUE is what comes to the UDP port `gue_port`.
    ///
    /// # Errors
    /// When an interface cannot be opened.
    pub fn open(from: &str, to: &str, to_mac: [u8; 6], gue_port: u16) -> io::Result<Self> {
        let mut ethernet = [0; 12];
        ethernet[..6].copy_from_slice(&to_mac);
        Ok(Self {
            from: PacketSocket::receiver(from)?,
            to: PacketSocket::sender(to)?,
            ethernet,
            gue_port,
            buffer: vec![0; BUFFER],
            stats: Stats::default(),
        })
    }

    /// Takes the next frame, whatever it is, and delivers it when it is encapsulated.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn step(&mut self) -> io::Result<()> {
        let Some(length) = self.from.receive(&mut self.buffer)? else {
            return Ok(());
        };
        match strip(&self.buffer[..length], self.gue_port) {
            Ok((ether_type, inner)) => {
                // the outer header leaves room for the new Ethernet header before the inner packet
                let start = inner.start - ETHERNET;
                self.buffer[start..start + 12].copy_from_slice(&self.ethernet);
                self.buffer[start + 12..inner.start].copy_from_slice(&ether_type.to_be_bytes());
                match self.to.send(&self.buffer[start..inner.end]) {
                    Ok(()) => self.stats.delivered += 1,
                    Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(error),
                    Err(_) => self.stats.refused += 1,
                }
            }
            Err(NotEncapsulated::Malformed) => self.stats.malformed += 1,
            Err(NotEncapsulated::Other) => {}
        }
        Ok(())
    }
}
