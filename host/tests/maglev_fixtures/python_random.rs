//! Python's `random.Random(seed)`: the Mersenne Twister MT19937 of Matsumoto and Nishimura, seeded by an array of one word.
//!
//! Some golden rings are about endpoints that such a generator drew.

const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// The generator.
pub struct PythonRandom {
    state: [u32; WORDS],
    next: usize,
}

impl PythonRandom {
    pub fn new(seed: u32) -> Self {
        let mut state = [19_650_218u32; WORDS];
        for i in 1..WORDS {
            state[i] = mixed(state[i - 1], 1_812_433_253).wrapping_add(i as u32);
        }
        // the key is one word: its index is always 0
        for step in 0..WORDS {
            let i = step % (WORDS - 1) + 1;
            state[i] = (state[i] ^ mixed(state[i - 1], 1_664_525)).wrapping_add(seed);
            if i == WORDS - 1 {
                state[0] = state[i];
            }
        }
        for step in 0..WORDS - 1 {
            let i = (step + 1) % (WORDS - 1) + 1;
            state[i] = (state[i] ^ mixed(state[i - 1], 1_566_083_941)).wrapping_sub(i as u32);
            if i == WORDS - 1 {
                state[0] = state[i];
            }
        }
        state[0] = 1 << 31;
        Self { state, next: WORDS }
    }

    /// The next 32 bits.
    pub fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let joined = self.state[i] & 1 << 31 | self.state[(i + 1) % WORDS] & !(1 << 31);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % WORDS] ^ joined >> 1 ^ odd;
        }
    }

    /// `getrandbits(64)`: the low word is drawn first.
    pub fn bits_64(&mut self) -> u64 {
        let low = self.word();
        u64::from(self.word()) << 32 | u64::from(low)
    }

    /// `randint(1, 20)`: five bits, drawn again while they are too large.
    pub fn one_to_twenty(&mut self) -> u32 {
        loop {
            let bits = self.word() >> 27;
            if bits < 20 {
                return bits + 1;
            }
        }
    }
}

fn mixed(before: u32, factor: u32) -> u32 {
    (before ^ before >> 30).wrapping_mul(factor)
}

#[test]
fn it_draws_what_python_draws() {
    // [random.Random(7).getrandbits(32) for _ in range(3)], and the 2,000th
    let mut random = PythonRandom::new(7);
    assert_eq!(
        [random.word(), random.word(), random.word()],
        [0x52e6_b438, 0xf2a7_4de4, 0x269e_0d37]
    );
    let last = (3..2000).map(|_| random.word()).last();
    assert_eq!(last, Some(0xa71a_56c6));
}
