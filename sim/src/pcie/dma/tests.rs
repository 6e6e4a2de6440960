//! What the client's memory looks like to the function.

use super::*;
use proptest::prelude::*;
use rustix::fs::MemfdFlags;

const BOTH: Access = Access {
    read: true,
    write: true,
};

fn memfd(pages: u64, sealed: bool) -> OwnedFd {
    let file =
        rustix::fs::memfd_create("dma", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&file, pages * PAGE).unwrap();
    if sealed {
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    }
    file
}

#[test]
fn what_cannot_be_mapped_is_refused_by_name() {
    let mut map = DmaMap::new(2);
    let file = || Some(memfd(4, true));
    assert_eq!(map.map(0, 0, 0, BOTH, file()), Err(Errno::INVAL));
    assert_eq!(map.map(100, PAGE, 0, BOTH, file()), Err(Errno::INVAL));
    assert_eq!(map.map(!4095, 2 * PAGE, 0, BOTH, file()), Err(Errno::INVAL));
    assert_eq!(map.map(0, PAGE, !4095, BOTH, file()), Err(Errno::INVAL));
    assert_eq!(
        map.map(0, 5 * PAGE, 0, BOTH, file()),
        Err(Errno::INVAL),
        "beyond the file"
    );
    assert_eq!(
        map.map(0xfee0_0000 - PAGE, 2 * PAGE, 0, BOTH, file()),
        Err(Errno::INVAL),
        "the MSI window"
    );
    assert_eq!(
        map.map(
            0,
            PAGE,
            0,
            Access {
                read: false,
                write: false
            },
            file()
        ),
        Err(Errno::INVAL)
    );
    let (pipe, _writer) = rustix::pipe::pipe().unwrap();
    assert_eq!(
        map.map(0, PAGE, 0, BOTH, Some(pipe)),
        Err(Errno::INVAL),
        "a pipe"
    );
    let null = std::fs::File::open("/dev/zero").unwrap();
    assert_eq!(
        map.map(0, PAGE, 0, BOTH, Some(null.into())),
        Err(Errno::INVAL),
        "a device"
    );
    let program = std::fs::File::open("/proc/self/exe").unwrap();
    assert_eq!(
        map.map(0, PAGE, 0, BOTH, Some(program.into())),
        Err(Errno::ACCESS),
        "read-only"
    );
    map.map(0, 2 * PAGE, 0, BOTH, file()).unwrap();
    assert_eq!(map.map(PAGE, PAGE, 0, BOTH, file()), Err(Errno::EXIST));
    map.map(!4095, PAGE, 0, BOTH, None).unwrap();
    assert_eq!(map.map(8 * PAGE, PAGE, 0, BOTH, file()), Err(Errno::NOSPC));
    assert_eq!(map.len(), 2);
}

#[test]
fn unmap_takes_holes_and_the_last_page_but_cuts_nothing() {
    let mut map = DmaMap::new(100);
    for page in [1, 3, 6] {
        map.map(page * PAGE, PAGE, 0, BOTH, None).unwrap();
    }
    map.map(8 * PAGE, 4 * PAGE, 0, BOTH, None).unwrap();
    map.map(!4095, PAGE, 0, BOTH, None).unwrap();
    assert_eq!(map.unmap(9 * PAGE, PAGE), Err(Errno::INVAL));
    assert_eq!(map.unmap(0, 9 * PAGE), Err(Errno::INVAL));
    assert_eq!(map.unmap(0, 0), Err(Errno::INVAL));
    assert_eq!(map.unmap(PAGE, u64::MAX), Err(Errno::INVAL));
    assert_eq!(map.unmap(0, 5 * PAGE), Ok(2 * PAGE));
    assert_eq!(map.unmap(0, 5 * PAGE), Ok(0));
    assert_eq!(
        map.unmap(8 * PAGE, 0u64.wrapping_sub(8 * PAGE)),
        Ok(5 * PAGE)
    );
    assert_eq!(map.len(), 1);
}

#[test]
fn directions_are_kept() {
    let mut map = DmaMap::new(100);
    map.map(
        0,
        PAGE,
        0,
        Access {
            read: true,
            write: false,
        },
        Some(memfd(1, true)),
    )
    .unwrap();
    map.map(
        PAGE,
        PAGE,
        0,
        Access {
            read: false,
            write: true,
        },
        Some(memfd(1, true)),
    )
    .unwrap();
    assert_eq!(map.write(&mut NoRemote, 8, &[1]), Err(Errno::FAULT));
    assert_eq!(map.read(&mut NoRemote, PAGE, &mut [0]), Err(Errno::FAULT));
    assert_eq!(
        map.read(&mut NoRemote, 4000, &mut [0; 200]),
        Err(Errno::FAULT),
        "the second page is not readable"
    );
    assert_eq!(map.read(&mut NoRemote, 4000, &mut [0; 96]), Ok(()));
    assert_eq!(map.write(&mut NoRemote, 5000, &[1; 10]), Ok(()));
    assert_eq!(
        map.read(&mut NoRemote, 2 * PAGE, &mut [0]),
        Err(Errno::FAULT)
    );
}

#[test]
fn one_file_is_mapped_once() {
    let mut map = DmaMap::new(100);
    let file = memfd(16, true);
    for page in 0..16u64 {
        map.map(
            page * 2 * PAGE,
            PAGE,
            (15 - page) * PAGE,
            BOTH,
            Some(file.try_clone().unwrap()),
        )
        .unwrap();
    }
    assert_eq!(map.files.len(), 1);
    map.write(&mut NoRemote, 6 * PAGE + 5, b"here").unwrap();
    let mut read = [0; 4];
    rustix::io::pread(&file, &mut read, 12 * PAGE + 5).unwrap();
    assert_eq!(&read, b"here");
    map.unmap(0, u64::MAX).unwrap();
    assert!(map.files.is_empty());
}

#[test]
fn a_file_that_shrinks_is_an_error_and_stays_shrunk() {
    let mut map = DmaMap::new(100);
    let file = memfd(4, false);
    map.map(0, 4 * PAGE, 0, BOTH, Some(file.try_clone().unwrap()))
        .unwrap();
    map.write(&mut NoRemote, 3 * PAGE, &[7; 64]).unwrap();
    rustix::fs::ftruncate(&file, PAGE).unwrap();
    assert_eq!(
        map.write(&mut NoRemote, 3 * PAGE, &[7; 64]),
        Err(Errno::FAULT)
    );
    assert_eq!(
        map.read(&mut NoRemote, 3 * PAGE, &mut [0; 64]),
        Err(Errno::FAULT)
    );
    assert_eq!(rustix::fs::fstat(&file).unwrap().st_size, PAGE as i64);
    assert_eq!(map.write(&mut NoRemote, 0, &[7; 64]), Ok(()));
}

proptest! {
    /// Mapped, unmapped files and the client itself hold the same bytes, whatever the ranges.
    #[test]
    fn any_backing_behaves_as_plain_memory(writes in proptest::collection::vec((0u64..3 * PAGE, proptest::collection::vec(any::<u8>(), 1..200)), 1..20)) {
        struct Plain(Vec<u8>);
        impl RemoteMemory for Plain {
            fn read(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
                let at = (address - 2 * PAGE) as usize;
                data.copy_from_slice(&self.0[at..at + data.len()]);
                Ok(())
            }
            fn write(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
                let at = (address - 2 * PAGE) as usize;
                self.0[at..at + data.len()].copy_from_slice(data);
                Ok(())
            }
        }
        let mut remote = Plain(vec![0; PAGE as usize]);
        let mut map = DmaMap::new(100);
        map.map(0, PAGE, PAGE, BOTH, Some(memfd(2, true))).unwrap();
        map.map(PAGE, PAGE, PAGE, BOTH, Some(memfd(2, false))).unwrap();
        map.map(2 * PAGE, PAGE, 0, BOTH, None).unwrap();
        let mut plain = vec![0; 3 * PAGE as usize];
        for (address, data) in writes {
            let fits = address as usize + data.len() <= plain.len();
            prop_assert_eq!(map.write(&mut remote, address, &data).is_ok(), fits);
            if fits {
                plain[address as usize..address as usize + data.len()].copy_from_slice(&data);
            } else {
                let at = address as usize;
                let room = plain.len() - at;
                plain[at..].copy_from_slice(&data[..room]);
            }
        }
        let mut all = vec![0; plain.len()];
        map.read(&mut remote, 0, &mut all).unwrap();
        prop_assert_eq!(all, plain);
    }
}
