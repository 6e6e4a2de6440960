//! The published client of crate `vfio_user` against our server.

use std::os::fd::AsRawFd;

use crate::rig::{Rig, memfd};

#[test]
fn the_published_client_works() {
    let rig = Rig::new();
    let mut client = vfio_user::Client::new(&rig.socket()).unwrap();
    // Its `resettable` is not asked: version 0.1.7 has it the wrong way round.
    assert_eq!(client.region(0).unwrap().size, 65536);
    assert_eq!(client.region(4).unwrap().size, 4096);
    let mut word = [0; 4];
    client.region_read(0, 0, &mut word).unwrap();
    assert_eq!(u32::from_le_bytes(word), guideway_hdl::MAGIC);
    client.region_write(0, 0x100, &[1, 2, 3, 4]).unwrap();
    client.region_read(0, 0x100, &mut word).unwrap();
    assert_eq!(word, [1, 2, 3, 4]);
    let file = memfd(1 << 20, true);
    client.dma_map(0, 0, 1 << 20, file.as_raw_fd()).unwrap();
    client.dma_unmap(0, 1 << 20).unwrap();
    assert_eq!(client.get_irq_info(2).unwrap().count, 8);
    client.reset().unwrap();
    client.shutdown().unwrap();
    rig.assert_alive();
}
