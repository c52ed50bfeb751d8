//! Tables in the documents are what their commands print. `BLESS=1` writes what they print now.

use super::*;

/// A fenced block behind a comment with its command: from its first words on, what the command prints.
struct Block {
    command: String,
    /// Lines of the document between the fences.
    lines: std::ops::Range<usize>,
}

fn blocks(document: &[&str]) -> Vec<Block> {
    let mut found = Vec::new();
    for (i, line) in document.iter().enumerate() {
        let command = line.strip_prefix("<!-- qwglm ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(command) = command {
            assert_eq!(document[i + 1], "```text", "{command}");
            let end = (i + 2..document.len()).find(|&at| document[at] == "```").expect(command);
            found.push(Block {
                command: command.to_owned(),
                lines: i + 2..end,
            });
        }
    }
    found
}

/// What the command prints from the line on that begins as the block does: up to a colon or two spaces.
fn printed(folder: &Path, command: &str, first: &str) -> Vec<String> {
    let args: Vec<&str> = command.split(' ').collect();
    let stdout = qwglm(folder, &args).expect(0).stdout;
    let words = first
        .split("  ")
        .next()
        .and_then(|first| first.split(':').next())
        .unwrap_or(first);
    let lines: Vec<String> = stdout.lines().map(|line| line.trim_end().to_owned()).collect();
    let start = lines.iter().position(|line| line.starts_with(words));
    lines[start.unwrap_or_else(|| panic!("qwglm {command} prints no line that begins with \"{words}\"\n{stdout}"))..].to_vec()
}

#[test]
fn tables_in_the_documents_are_what_their_commands_print() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(CONFIGS).join("../docs/impossible-gpu.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let document: Vec<&str> = text.lines().collect();
    let blocks = blocks(&document);
    assert_eq!(blocks.len(), 4);
    let (mut blessed, mut at) = (Vec::new(), 0);
    for Block { command, lines } in blocks {
        let now = printed(folder.path(), &command, document[lines.start]);
        if std::env::var_os("BLESS").is_none() {
            let hint = "BLESS=1 cargo test -p qwglm --test cli documents";
            assert_eq!(
                document[lines.clone()],
                now[..],
                "qwglm {command} prints something else now; {hint}"
            );
        }
        blessed.extend(document[at..lines.start].iter().map(|line| (*line).to_owned()));
        blessed.extend(now);
        at = lines.end;
    }
    if std::env::var_os("BLESS").is_some() {
        blessed.extend(document[at..].iter().map(|line| (*line).to_owned()));
        std::fs::write(&path, blessed.join("\n") + "\n").unwrap();
    }
}
