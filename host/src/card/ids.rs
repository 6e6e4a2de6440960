//! Indices of the card's tables, one type each, so that none is taken for another.

use std::fmt;

macro_rules! id {
    ($(#[doc = $doc:literal] $name:ident($raw:ty) as $text:literal)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $raw);

        impl $name {
            /// The number as an index.
            #[must_use]
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", $text, self.0)
            }
        }
    )*};
}

id! {
    /// A VIP's place in the `vip` table.
    VipId(u16) as "vip"
    /// A pool's place in the `pool` table.
    PoolId(u8) as "pool"
    /// A backend's place in the `backend` table; ring slots hold it.
    BackendId(u16) as "backend"
    /// A next hop's place in the `next_hop` table.
    NextHopId(u8) as "next hop"
}
