//! `--view`: the graph at work, in the terminal. Opens and closes the screen; what is on it is in `board.rs`, how it looks in
//! `draw.rs`.

mod board;
mod draw;
pub mod held;

use std::io::{IsTerminal, Stdout, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use async_channel::{Receiver, Sender};
use pipeline::graph::Graph;
use pipeline::packet::Packet;
use pipeline::runtime::RunHandle;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use crate::failure::usage;
use crate::hybrid::Watched;
use board::Board;

/// How often the screen is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// The screen while it is open. Dropping it gives the terminal back as it was.
pub struct View {
    board: Arc<Mutex<Board>>,
    closing: Arc<AtomicBool>,
    /// Draws and reads keys.
    thread: Option<JoinHandle<()>>,
    /// A message for each Ctrl-C or `q`: in raw mode the terminal makes no signal of them.
    interrupts: Receiver<()>,
}

/// Whether there is a terminal to draw on.
///
/// Errors: bad usage, with the words for it.
pub fn require_terminal() -> Result<()> {
    match stdout().is_terminal() {
        true => Ok(()),
        false => Err(usage(
            "--view draws on a terminal, and standard output is none; leave --view out, or use --json",
        )),
    }
}

impl View {
    /// Takes the terminal over and draws the run until the view is dropped.
    ///
    /// Errors: bad usage without a terminal; a terminal that refuses.
    pub fn open(graph: &Graph, handle: RunHandle, watched: Vec<Watched>) -> Result<Self> {
        require_terminal()?;
        let board = Arc::new(Mutex::new(Board::new(graph.name())));
        let closing = Arc::new(AtomicBool::new(false));
        let (sender, interrupts) = async_channel::bounded(8);
        held::hold();
        // From here on the drop of the guard restores.
        let mut view = Self {
            board: board.clone(),
            closing: closing.clone(),
            thread: None,
            interrupts,
        };
        let failed = "the terminal cannot be drawn on";
        enable_raw_mode().context(failed)?;
        execute!(stdout(), EnterAlternateScreen).context(failed)?;
        let mut terminal = Terminal::new(CrosstermBackend::new(stdout())).context(failed)?;
        terminal.clear().context(failed)?;
        let draw = move || draw_until(&closing, &mut terminal, &board, (&handle, &watched), &sender);
        let thread = std::thread::Builder::new().name("view".to_owned()).spawn(draw);
        view.thread = Some(thread.context(failed)?);
        Ok(view)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Words of the graph.
    pub fn hear(&self, packet: &Packet) {
        self.board().hear(packet);
    }

    /// Events and metrics of the run.
    pub fn note(&self, packet: &Packet) {
        self.board().note(packet);
    }

    /// A line of the program's own.
    pub fn say(&self, line: &str) {
        self.board().note = Some(line.to_owned());
    }

    /// Ends at the next Ctrl-C or `q`.
    pub async fn interrupted(&self) {
        if self.interrupts.recv().await.is_err() {
            // The thread has ended; signals still come.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in there was told by the hook.
            let _ = thread.join();
        }
        // Nothing to be done about a terminal that has gone.
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        held::release();
    }
}

fn draw_until(
    closing: &AtomicBool,
    terminal: &mut Terminal<CrosstermBackend<Stdout>>,
    board: &Mutex<Board>,
    (handle, watched): (&RunHandle, &[Watched]),
    interrupts: &Sender<()>,
) {
    while !closing.load(Ordering::Acquire) {
        {
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board.update(handle.report().into());
            board.engines = watched.iter().flat_map(Watched::lines).collect();
            if terminal.draw(|frame| draw::draw(frame, &board)).is_err() {
                // A terminal that has gone: the run goes on without it.
                return;
            }
        }
        match event::poll(EVERY) {
            Ok(false) => {}
            Ok(true) => {
                if event::read().is_ok_and(|event| is_interrupt(&event)) {
                    // More than the channel holds say nothing new.
                    let _ = interrupts.try_send(());
                }
            }
            Err(_) => return,
        }
    }
}

fn is_interrupt(event: &Event) -> bool {
    let Event::Key(KeyEvent {
        code, modifiers, kind, ..
    }) = event
    else {
        return false;
    };
    let is_ctrl_c = *code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
    *kind == KeyEventKind::Press && (is_ctrl_c || *code == KeyCode::Char('q'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_c_and_q_end_the_run_and_other_keys_do_not() {
        let key = |code, modifiers| is_interrupt(&Event::Key(KeyEvent::new(code, modifiers)));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!is_interrupt(&Event::Resize(80, 24)));
    }
}
