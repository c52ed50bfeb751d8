//! A lane's way to data memory.

/// As traces number them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    #[default]
    Idle,
    Requesting,
    Waiting,
    Done,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Lsu {
    pub state: State,
    /// What a load brought.
    pub result: u8,
    /// The lane whose request this one shares, if it shares one.
    pub leader: Option<u8>,
}

impl Lsu {
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Requesting | State::Waiting)
    }

    pub fn finish(&mut self, result: u8) {
        self.result = result;
        self.state = State::Done;
    }
}
