//! What is written reads back; what is broken is said to be.

use super::*;
use proptest::prelude::*;

fn read_all(path: &Path) -> Result<Vec<Vec<u8>>, CaptureError> {
    let mut reader = FrameReader::open(path)?;
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40)
}

fn classic(frames: &[Vec<u8>], big_endian: bool, magic: u32) -> Vec<u8> {
    let word = |value: u32| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let half = |value: u16| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let mut bytes = [
        &word(magic)[..],
        &half(2),
        &half(4),
        &[0; 8],
        &word(65535),
        &word(1),
    ]
    .concat();
    for frame in frames {
        let len = word(frame.len() as u32);
        bytes.extend_from_slice(&[&word(7)[..], &word(8), &len, &len, frame].concat());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_formats_read_back(frames in frames(), nanos in any::<u32>()) {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.pcap"), folder.path().join("b.pcapng"));
        let mut pcap = PcapWriter::create(&a).unwrap();
        let mut pcapng = PcapngWriter::create(&b, &["in", "out"]).unwrap();
        for (index, frame) in frames.iter().enumerate() {
            pcap.write(u64::from(nanos) + index as u64, frame).unwrap();
            pcapng.write(index as u32 % 2, u64::from(nanos) << 8, frame, index % 3 == 0).unwrap();
        }
        pcap.flush().unwrap();
        pcapng.flush().unwrap();
        prop_assert_eq!(&read_all(&a).unwrap(), &frames);
        prop_assert_eq!(&read_all(&b).unwrap(), &frames);
    }

    #[test]
    fn every_classic_variant_is_read(frames in frames(), big_endian: bool, nanoseconds: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        std::fs::write(&path, classic(&frames, big_endian, if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 })).unwrap();
        prop_assert_eq!(read_all(&path).unwrap(), frames);
    }

    /// A damaged or shortened file ends: with its frames, or with an error; it never hangs or panics.
    #[test]
    fn damage_is_an_error_or_other_frames(frames in frames(), cut in 0usize..2000, flips in proptest::collection::vec((0usize..4000, any::<u8>()), 0..6), ng: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut bytes = if ng {
            let mut writer = PcapngWriter::create(&path, &["in"]).unwrap();
            for frame in &frames {
                writer.write(0, 1, frame, false).unwrap();
            }
            writer.flush().unwrap();
            std::fs::read(&path).unwrap()
        } else {
            classic(&frames, false, 0xa1b2_c3d4)
        };
        bytes.truncate(bytes.len().saturating_sub(cut));
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        std::fs::write(&path, bytes).unwrap();
        let _ = read_all(&path);
    }

    #[test]
    fn garbage_is_no_capture(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(read_all(&path).is_err());
    }
}

#[test]
fn a_cut_file_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    let bytes = classic(&[vec![1; 60], vec![2; 60]], false, 0xa1b2_c3d4);
    for (len, frames) in [(bytes.len() - 1, 1), (24 + 16 + 60 + 3, 1), (24 + 5, 0)] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = read_all(&path).unwrap_err();
        assert!(
            matches!(error, CaptureError::Broken { frames: seen, .. } if seen == frames),
            "{error}"
        );
        assert!(error.to_string().contains("ends in the middle"), "{error}");
    }
    std::fs::write(&path, &bytes[..10]).unwrap();
    assert!(matches!(read_all(&path), Err(CaptureError::NotACapture(_))));
    assert!(matches!(
        read_all(&folder.path().join("none")),
        Err(CaptureError::Io { .. })
    ));
}

#[test]
fn long_records_are_taken_up_to_a_mebibyte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.pcap");
    let frames = [vec![3; 70_000], vec![4; 262_144], vec![5; 60]];
    std::fs::write(&path, classic(&frames, false, 0xa1b2_c3d4)).unwrap();
    assert_eq!(read_all(&path).unwrap(), frames);
    std::fs::write(&path, classic(&[vec![0; 3 << 20]], false, 0xa1b2_c3d4)).unwrap();
    let error = read_all(&path).unwrap_err();
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    let mut huge = classic(&[vec![0; 60]], false, 0xa1b2_c3d4);
    huge[32..40].copy_from_slice(&[0xff; 8]);
    std::fs::write(&path, huge).unwrap();
    assert!(read_all(&path).is_err());
}

#[test]
fn other_link_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.pcap");
    let mut bytes = classic(&[vec![0; 60]], false, 0xa1b2_c3d4);
    bytes[20] = 101;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(
        read_all(&path),
        Err(CaptureError::LinkType { link: 101, .. })
    ));
}
