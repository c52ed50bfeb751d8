//! How the view looks: a line of numbers, the stages, the links, the last words.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::board::{Board, LinkLine, StageLine};

/// Cells of a bar.
const BAR: usize = 12;
/// Rows that the words keep, however many stages there are.
const MIN_WORDS: u16 = 5;

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, board: &Board) {
    let rows = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).saturating_add(2);
    let engines = if board.engines.is_empty() {
        0
    } else {
        rows(board.engines.len())
    };
    let [head, stages, links, engine, words] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Max(rows(board.now.stages.len())),
        Constraint::Max(rows(board.now.links.len())),
        Constraint::Max(engines),
        Constraint::Min(MIN_WORDS),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(head_line(board)), head);
    draw_stages(frame, board, stages);
    draw_links(frame, board, links);
    if engines > 0 {
        let lines: Vec<Line<'_>> = board.engines.iter().map(|line| Line::raw(line.as_str())).collect();
        frame.render_widget(
            Paragraph::new(lines).block(block(" the engine, furthest from its limit first ")),
            engine,
        );
    }
    draw_words(frame, board, words);
}

fn head_line(board: &Board) -> Line<'_> {
    let rate = board
        .tokens_per_s
        .map_or(String::new(), |rate| format!(" · {rate:.0} tokens/s"));
    Line::from(vec![
        Span::styled(format!(" {}", board.name), BOLD),
        Span::raw(format!(" · {:.1} s{rate}", board.now.elapsed.as_secs_f64())),
        Span::styled("   q or Ctrl-C ends", DIM),
    ])
}

fn block(title: &str) -> Block<'_> {
    Block::bordered().title(title).border_style(DIM)
}

/// A bar of [`BAR`] cells, `share` (0 to 1) of which is full.
fn bar(share: f64) -> String {
    let full = ((share.clamp(0.0, 1.0) * BAR as f64).round() as usize).min(BAR);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

fn draw_stages(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let width = |of: fn(&StageLine) -> &str| {
        board
            .now
            .stages
            .iter()
            .map(|stage| of(stage).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, kind) = (width(|stage| &stage.name), width(|stage| &stage.type_name));
    let line = |stage: &StageLine| {
        let share = board.busy_share(stage);
        let color = if share > 0.9 { Color::Yellow } else { Color::Green };
        let restarts = match (stage.restarts, stage.lost) {
            (0, _) => String::new(),
            (n, 0) => format!("  ↻ {n}"),
            (n, lost) => format!("  ↻ {n}, {lost} lost"),
        };
        Line::from(vec![
            Span::raw(format!("{:<name$}  ", stage.name)),
            Span::styled(format!("{:<kind$}  ", stage.type_name), DIM),
            Span::styled(bar(share), Style::new().fg(color)),
            Span::raw(format!(
                " {:>4.0} %  {:>6} in {:>6} out",
                share * 100.0,
                stage.received,
                stage.sent
            )),
            Span::styled(restarts, Style::new().fg(Color::Red)),
        ])
    };
    let lines: Vec<Line<'_>> = board.now.stages.iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines).block(block(" stages: busy in the last second ")), area);
}

fn draw_links(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let name = board
        .now
        .links
        .iter()
        .map(|link| link.name.chars().count())
        .max()
        .unwrap_or(0);
    let line = |link: &LinkLine| {
        let is_full = link.depth >= link.size;
        let color = if is_full { Color::Yellow } else { Color::Cyan };
        let dropped = match link.dropped {
            0 => Span::styled("  0 dropped", DIM),
            n => Span::styled(format!("  {n} dropped"), Style::new().fg(Color::Red)),
        };
        let waited = format!("  waited {:.1} s", link.waited.as_secs_f64());
        Line::from(vec![
            Span::raw(format!("{:<name$}  ", link.name)),
            Span::styled(bar(link.depth as f64 / link.size as f64), Style::new().fg(color)),
            Span::raw(format!(" {:>3}/{:<3} ", link.depth, link.size)),
            Span::styled(format!("{:<11}", link.when_full), DIM),
            dropped,
            Span::styled(waited, DIM),
        ])
    };
    let lines: Vec<Line<'_>> = board.now.links.iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines).block(block(" links: depth of bound ")), area);
}

/// The newest answer first, so that it is there on a small screen as well.
fn draw_words(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let mut lines = Vec::new();
    if let Some(note) = &board.note {
        lines.push(Line::styled(printable(note), Style::new().fg(Color::Yellow)));
    }
    let rows = usize::from(area.height);
    for answer in board.answers.iter().rev().take(rows) {
        lines.push(Line::from(vec![
            Span::styled(format!("{} ", printable(&answer.head)), DIM),
            Span::raw(printable(&answer.text)),
        ]));
    }
    let words = Paragraph::new(lines).wrap(Wrap { trim: true }).block(block(" last words "));
    frame.render_widget(words, area);
}

/// A model or a file's name must not steer the terminal.
fn printable(text: &str) -> String {
    let printed = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(printed).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::board::tests::{counters, words};
    use super::*;

    fn drawn(board: &Board, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, board)).unwrap();
        terminal.backend().to_string()
    }

    fn board() -> Board {
        let mut board = Board::new("live");
        board.update(counters(1000, 0));
        board.update(counters(2000, 500));
        board.tokens_per_s = Some(42.4);
        board.hear(&words("A window\n\u{1b}[2J", 7, true));
        board
    }

    #[test]
    fn stages_links_rate_and_words_are_drawn() {
        let screen = drawn(&board(), 80, 20);
        for expected in [
            "live · 2.0 s · 42 tokens/s",
            "encode  vision.encode  ██████░░░░░░   50 %",
            "7 in      6 out",
            "screen -> encode  ██████░░░░░░   2/4   drop_oldest  3 dropped  waited 1.5 s",
            "[3.5 s] 007 A window",
        ] {
            assert!(screen.contains(expected), "\"{expected}\" is not in\n{screen}");
        }
        assert!(!screen.contains('\u{1b}'));
    }

    #[test]
    fn failures_and_restarts_are_drawn_with_their_stage_and_cause() {
        use pipeline::packet::{Body, Event, Packet};
        use pipeline::time::Timestamp;
        let mut board = board();
        let drawn = |board: &Board| drawn(board, 80, 20);
        assert!(!drawn(&board).contains('↻'));
        let told = |event| Packet {
            seq: 0,
            pts: Timestamp::default(),
            turn: 0,
            body: Body::Event(event),
        };
        board.note(&told(Event::StageFailed {
            stage: "encode".to_owned(),
            message: "stage encode failed: disk full".to_owned(),
        }));
        assert!(drawn(&board).contains("stage encode failed: disk full"), "{}", drawn(&board));
        board.note(&told(Event::StageRestarted {
            stage: "encode".to_owned(),
            n_restarts: 2,
            message: "stage encode failed: disk full".to_owned(),
        }));
        let mut now = counters(3000, 600);
        (now.stages[0].restarts, now.stages[0].lost) = (2, 1);
        board.update(now);
        let screen = drawn(&board);
        for expected in [
            "6 out  ↻ 2, 1 lost",
            "encode was started again; stage encode failed: disk full",
        ] {
            assert!(screen.contains(expected), "\"{expected}\" is not in\n{screen}");
        }
    }

    #[test]
    fn what_a_hybrid_engine_tells_is_drawn_between_links_and_words() {
        let mut board = board();
        assert!(!drawn(&board, 80, 24).contains("limit"));
        board.engines = vec!["kernel  count".to_owned(), "matvec     12".to_owned()];
        let screen = drawn(&board, 80, 24);
        for expected in ["furthest from its limit first", "matvec     12", "[3.5 s] 007 A window"] {
            assert!(screen.contains(expected), "\"{expected}\" is not in\n{screen}");
        }
    }

    #[test]
    fn any_size_of_terminal_can_be_drawn_on() {
        for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
            drawn(&board(), width, height);
        }
        assert!(
            drawn(&board(), 60, 9).contains("A window"),
            "the words stay on a small screen"
        );
    }
}
