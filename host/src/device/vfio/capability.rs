//! Capabilities behind a structure of VFIO: a chain, each with its number, version and the place of the next.
//!
//! Owns the walk along the chain and what is read of it. Never reads beyond the bytes, and never in a circle.

use std::ops::RangeInclusive;

use vfio_bindings::bindings::vfio as abi;
use vfio_bindings::bindings::vfio::{
    vfio_info_cap_header, vfio_iommu_type1_info_cap_iova_range, vfio_region_info_cap_sparse_mmap,
};

/// Bytes of a capability's header.
const HEADER: usize = size_of::<vfio_info_cap_header>();

/// Finds a capability; answers with its bytes, header included, up to the reply's end.
fn find(bytes: &[u8], first: u32, id: u32) -> Option<&[u8]> {
    let mut at = first as usize;
    while at != 0 {
        let capability = bytes.get(at..)?;
        let header = capability.get(..HEADER)?;
        if u32::from(u16::from_ne_bytes([header[0], header[1]])) == id {
            return Some(capability);
        }
        let next = word(header, 4)? as usize;
        // The kernel appends them in order: what points back is a circle.
        if next <= at {
            return None;
        }
        at = next;
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn double(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Pairs of 64-bit numbers behind a count; `None` when they are not all there.
fn pairs(capability: &[u8], structure: usize) -> Option<Vec<(u64, u64)>> {
    let count = word(capability, HEADER)? as usize;
    let pairs = capability.get(structure..)?;
    if pairs.len() / 16 < count {
        return None;
    }
    (0..count)
        .map(|i| Some((double(pairs, i * 16)?, double(pairs, i * 16 + 8)?)))
        .collect()
}

/// The addresses that an IOMMU translates (`VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE`); `None` when the kernel does not say (before 5.4).
#[must_use]
pub fn iova_ranges(bytes: &[u8], first: u32) -> Option<Vec<RangeInclusive<u64>>> {
    let capability = find(bytes, first, abi::VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)?;
    let ranges = pairs(
        capability,
        size_of::<vfio_iommu_type1_info_cap_iova_range>(),
    )?;
    Some(
        ranges
            .into_iter()
            .map(|(start, last)| start..=last)
            .collect(),
    )
}

/// How many more mappings the container takes (`VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL`); `None` when the kernel does not say (before 5.10).
#[must_use]
pub fn mappings_left(bytes: &[u8], first: u32) -> Option<u32> {
    word(
        find(bytes, first, abi::VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)?,
        HEADER,
    )
}

/// The parts of a region that may be mapped, offset and bytes (`VFIO_REGION_INFO_CAP_SPARSE_MMAP`); `None` when it does not restrict them.
#[must_use]
pub fn mappable_areas(bytes: &[u8], first: u32) -> Option<Vec<(u64, u64)>> {
    let capability = find(bytes, first, abi::VFIO_REGION_INFO_CAP_SPARSE_MMAP)?;
    // What cannot be read allows nothing.
    Some(pairs(capability, size_of::<vfio_region_info_cap_sparse_mmap>()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply of 24 bytes and capabilities: number, body.
    fn reply(capabilities: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0xee; 24];
        for (i, (id, body)) in capabilities.iter().enumerate() {
            let end = bytes.len() + HEADER + body.len();
            let next = if i + 1 == capabilities.len() {
                0
            } else {
                end as u32
            };
            bytes.extend(id.to_ne_bytes());
            bytes.extend(1u16.to_ne_bytes());
            bytes.extend(next.to_ne_bytes());
            bytes.extend(body);
        }
        bytes
    }

    fn counted(pairs: &[(u64, u64)], count: u32) -> Vec<u8> {
        let mut body = count.to_ne_bytes().to_vec();
        body.extend([0; 4]);
        for (a, b) in pairs {
            body.extend(a.to_ne_bytes());
            body.extend(b.to_ne_bytes());
        }
        body
    }

    #[test]
    fn ranges_and_mappings_left_are_read_from_the_chain() {
        let ranges = counted(&[(0, 0xfedf_ffff), (0xfef0_0000, (1 << 39) - 1)], 2);
        let bytes = reply(&[
            (2, vec![0; 32]),
            (1, ranges),
            (3, 65_535u32.to_ne_bytes().to_vec()),
        ]);
        assert_eq!(
            iova_ranges(&bytes, 24),
            Some(vec![0..=0xfedf_ffff, 0xfef0_0000..=(1 << 39) - 1])
        );
        assert_eq!(mappings_left(&bytes, 24), Some(65_535));
        assert_eq!(iova_ranges(&bytes, 0), None);
        assert_eq!(mappings_left(&reply(&[(2, vec![0; 32])]), 24), None);
    }

    #[test]
    fn a_sparse_region_says_which_parts_may_be_mapped() {
        let bytes = reply(&[(1, counted(&[(0, 0x1000), (0x3000, 0x1000)], 2))]);
        assert_eq!(
            mappable_areas(&bytes, 24),
            Some(vec![(0, 0x1000), (0x3000, 0x1000)])
        );
        // a count that lies allows nothing
        let bytes = reply(&[(1, counted(&[(0, 0x1000)], 2))]);
        assert_eq!(mappable_areas(&bytes, 24), Some(vec![]));
        assert_eq!(
            iova_ranges(&reply(&[(1, counted(&[], u32::MAX))]), 24),
            None
        );
    }

    #[test]
    fn a_chain_that_leads_nowhere_or_in_a_circle_ends() {
        let mut bytes = reply(&[(7, vec![]), (8, vec![])]);
        assert_eq!(mappings_left(&bytes, 24), None);
        assert_eq!(mappings_left(&bytes, 31), None);
        assert_eq!(mappings_left(&bytes, u32::MAX), None);
        bytes[36..40].copy_from_slice(&24u32.to_ne_bytes());
        assert_eq!(mappings_left(&bytes, 24), None);
        for cut in 0..bytes.len() {
            assert_eq!(mappings_left(&bytes[..cut], 24), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8..12, 0..200), first in 0u32..256) {
            let _ = (iova_ranges(&bytes, first), mappings_left(&bytes, first), mappable_areas(&bytes, first));
        }
    }
}
