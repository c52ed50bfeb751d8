//! Brings a core's next instruction.

/// As traces number them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    #[default]
    Idle,
    Fetching,
    Fetched,
}

#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    pub state: State,
    /// What the program controller sees.
    pub valid: bool,
    pub address: u8,
    pub instruction: u16,
}

impl Fetcher {
    /// Asks for `pc`.
    pub fn request(&mut self, pc: u8) {
        self.valid = true;
        self.address = pc;
        self.state = State::Fetching;
    }

    /// Has an answer.
    pub fn take(&mut self, instruction: u16) {
        self.instruction = instruction;
        self.valid = false;
        self.state = State::Fetched;
    }
}
