//! What a stage has sent for one packet in hand, so that a stage that gets the packet again sends nothing twice.

/// The sends for a packet, over the incarnations that had it in hand.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    first_seq: u64,
    /// By the incarnation of now.
    n: u64,
    /// How many each output has got, by the output's index; one that is not here has none.
    through: Vec<u64>,
}

impl Sends {
    /// Nothing yet; the first will have that number.
    pub fn from(first_seq: u64) -> Self {
        Self {
            first_seq,
            ..Self::default()
        }
    }

    /// The number of the next packet, and which one it is.
    pub fn next(&mut self) -> (u64, u64) {
        let nth = self.n;
        self.n += 1;
        (self.first_seq + nth, nth)
    }

    pub fn is_through(&self, nth: u64, output: usize) -> bool {
        self.through.get(output).is_some_and(|n| nth < *n)
    }

    pub fn gets_through(&mut self, nth: u64, output: usize) {
        if self.through.len() <= output {
            self.through.resize(output + 1, 0);
        }
        self.through[output] = self.through[output].max(nth + 1);
    }

    /// Another incarnation sends from the first one on.
    pub fn begin_again(&mut self) {
        self.n = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_got_through_is_known_by_output_when_it_is_sent_again() {
        let mut sends = Sends::from(7);
        assert_eq!(sends.next(), (7, 0));
        sends.gets_through(0, 0);
        sends.gets_through(0, 2);
        assert_eq!(sends.next(), (8, 1));
        sends.gets_through(1, 2);
        sends.begin_again();
        assert_eq!(sends.next(), (7, 0), "it has the number that it had");
        let through = |nth: u64| [0, 1, 2, 3].map(|output| sends.is_through(nth, output));
        assert_eq!(through(0), [true, false, true, false]);
        assert_eq!(through(1), [false, false, true, false]);
        assert_eq!(through(2), [false; 4]);
    }
}
