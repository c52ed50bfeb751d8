//! Programs from text: instructions, labels, `.threads`, `.data`, `.word`, comments after `;`, `//` or a lone `#`.
//!
//! ```text
//! .threads 8
//! .data 0 1 2 3                       ; bytes, from address 0 on; each further line goes on after the last
//! LOOP: ADD R0, R0, %threadIdx        ; R0 to R12, %blockIdx, %blockDim, %threadIdx
//!       CONST R1, #0x10               ; numbers: 16, #16, 0x10, 0b10000
//!       CMP R0, R1
//!       BRn LOOP                      ; BR and any of n, z, p; an address or a label
//!       RET
//! ```
//!
//! All faults of a text are reported together, each with its line and column.

use std::collections::HashMap;
use std::fmt;

use super::MEMORY;
use super::isa::{Alu, BLOCK_DIM, BLOCK_IDX, Instruction, Nzp, Register, THREAD_IDX};

/// An assembled text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub words: Vec<u16>,
    pub data: Vec<u8>,
    /// Of `.threads`, if the text has it.
    pub threads: Option<usize>,
    /// The line, from 1, that each word stands on.
    pub lines: Vec<usize>,
}

/// What is wrong, and where; lines and columns from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// A piece of a line and the column that it starts at.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    text: &'a str,
    column: usize,
}

type Parsed<T> = Result<T, (usize, String)>;

const OPERATIONS: &str = "ADD, SUB, MUL, DIV, CMP, LDR, STR, CONST, BR, NOP, RET, .threads, .data, .word";

/// Assembles a text.
///
/// Errors: every fault of it, in order; never empty.
pub fn assemble(text: &str) -> Result<Program, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut labels = HashMap::new();
    let mut statements = Vec::new();
    let mut n_words = 0;
    for (line, text) in (1..).zip(text.lines()) {
        let mut pieces = pieces(text);
        while let Some(label) = pieces.first().and_then(|first| first.text.strip_suffix(':')) {
            let column = pieces.remove(0).column;
            let fault = |message| Fault { line, column, message };
            if !is_name(label) {
                faults.push(fault(format!(
                    "\"{label}\" is no name for a label: letters, digits and _, no digit first"
                )));
            } else if labels.insert(label.to_owned(), n_words).is_some() {
                faults.push(fault(format!("the label {label} is there already")));
            }
        }
        if let Some(first) = pieces.first() {
            n_words += usize::from(!matches!(first.text, ".threads" | ".data"));
            statements.push((line, pieces));
        }
    }
    let mut program = Program::default();
    for (line, pieces) in statements {
        if let Err((column, message)) = program.statement(line, &pieces, &labels) {
            faults.push(Fault { line, column, message });
        }
    }
    if program.words.len() > MEMORY || program.data.len() > MEMORY {
        let (what, found) = match program.words.len() > MEMORY {
            true => ("instructions", program.words.len()),
            false => ("bytes of data", program.data.len()),
        };
        faults.push(Fault {
            line: text.lines().count().max(1),
            column: 1,
            message: format!("{found} {what}; there is room for {MEMORY}"),
        });
    }
    faults.sort_by_key(|fault| (fault.line, fault.column));
    if faults.is_empty() { Ok(program) } else { Err(faults) }
}

impl Program {
    fn statement(&mut self, line: usize, pieces: &[Piece<'_>], labels: &HashMap<String, usize>) -> Parsed<()> {
        let Some((first, operands)) = pieces.split_first() else {
            return Ok(());
        };
        let name = first.text.to_uppercase();
        let word = match name.as_str() {
            ".THREADS" => {
                let [count] = exactly(*first, operands)?;
                let is_new = self.threads.replace(number(count, 255)?.into()).is_none();
                return if is_new {
                    Ok(())
                } else {
                    Err((first.column, "the threads are given already".into()))
                };
            }
            ".DATA" => {
                for &operand in operands {
                    let byte = number(operand, 255)?;
                    self.data.push(byte as u8);
                }
                return Ok(());
            }
            ".WORD" => {
                let [value] = exactly(*first, operands)?;
                number(value, u16::MAX)?
            }
            _ => instruction(&name, *first, operands, labels)
                .inspect_err(|_| self.lines.push(line))?
                .to_word(),
        };
        self.words.push(word);
        self.lines.push(line);
        Ok(())
    }
}

fn instruction(name: &str, first: Piece<'_>, operands: &[Piece<'_>], labels: &HashMap<String, usize>) -> Parsed<Instruction> {
    let arithmetic = |op| -> Parsed<Instruction> {
        let [d, s, t] = exactly(first, operands)?;
        Ok(Instruction::Arithmetic {
            op,
            d: writable(d)?,
            s: register(s)?,
            t: register(t)?,
        })
    };
    Ok(match name {
        "NOP" => {
            let [] = exactly(first, operands)?;
            Instruction::Nop(0)
        }
        "RET" => {
            let [] = exactly(first, operands)?;
            Instruction::Return
        }
        "ADD" => arithmetic(Alu::Add)?,
        "SUB" => arithmetic(Alu::Sub)?,
        "MUL" => arithmetic(Alu::Mul)?,
        "DIV" => arithmetic(Alu::Div)?,
        "CMP" => {
            let [s, t] = exactly(first, operands)?;
            Instruction::Compare {
                s: register(s)?,
                t: register(t)?,
            }
        }
        "LDR" => {
            let [d, s] = exactly(first, operands)?;
            Instruction::Load {
                d: writable(d)?,
                s: register(s)?,
            }
        }
        "STR" => {
            let [s, t] = exactly(first, operands)?;
            Instruction::Store {
                s: register(s)?,
                t: register(t)?,
            }
        }
        "CONST" => {
            let [d, value] = exactly(first, operands)?;
            Instruction::Const {
                d: writable(d)?,
                value: number(value, 255)? as u8,
            }
        }
        _ => match name.strip_prefix("BR").and_then(nzp) {
            Some(nzp) => {
                let [to] = exactly(first, operands)?;
                Instruction::Branch {
                    nzp,
                    to: address(to, labels)?,
                }
            }
            None => return Err((first.column, unknown(first, operands))),
        },
    })
}

/// About a first word that is no operation.
fn unknown(first: Piece<'_>, operands: &[Piece<'_>]) -> String {
    let is_operation = |piece: &Piece<'_>| OPERATIONS.split(", ").any(|name| name.eq_ignore_ascii_case(piece.text));
    match operands.first().filter(|next| is_name(first.text) && is_operation(next)) {
        Some(_) => format!("there is no {0}; a label ends with a colon: {0}:", first.text),
        None => format!("there is no {}; there are {OPERATIONS}", first.text),
    }
}

/// Splits a line at blanks and commas, up to a comment.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = None;
    // A column counts characters, not bytes.
    for (column, (at, letter)) in (1..).zip(line.char_indices().chain([(line.len(), ' ')])) {
        let rest = &line[at..];
        let is_comment =
            letter == ';' || rest.starts_with("//") || (letter == '#' && !rest[1..].starts_with(|c: char| c.is_ascii_digit()));
        if letter.is_whitespace() || letter == ',' || is_comment {
            if let Some((from, column)) = start.take() {
                pieces.push(Piece {
                    text: &line[from..at],
                    column,
                });
            }
            if is_comment {
                break;
            }
        } else if start.is_none() {
            start = Some((at, column));
        }
        // `LABEL:ADD` is two pieces.
        if letter == ':'
            && let Some((from, column)) = start.take()
        {
            pieces.push(Piece {
                text: &line[from..=at],
                column,
            });
        }
    }
    pieces
}

fn exactly<'a, const N: usize>(first: Piece<'_>, operands: &[Piece<'a>]) -> Parsed<[Piece<'a>; N]> {
    operands.try_into().map_err(|_| {
        let surplus = operands.get(N).map_or(first.column, |operand| operand.column);
        (
            surplus,
            format!("{} takes {N} operands, here are {}", first.text, operands.len()),
        )
    })
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn register(piece: Piece<'_>) -> Parsed<Register> {
    let number = match piece.text.to_lowercase().as_str() {
        "%blockidx" => Some(BLOCK_IDX),
        "%blockdim" => Some(BLOCK_DIM),
        "%threadidx" => Some(THREAD_IDX),
        text => text
            .strip_prefix('r')
            .and_then(|digits| digits.parse().ok())
            .filter(|&number| number < BLOCK_IDX),
    };
    number.map(Register).ok_or_else(|| {
        let message = format!(
            "\"{}\" is no register; there are R0 to R12, %blockIdx, %blockDim and %threadIdx",
            piece.text
        );
        (piece.column, message)
    })
}

fn writable(piece: Piece<'_>) -> Parsed<Register> {
    let register = register(piece)?;
    match register.0 < BLOCK_IDX {
        true => Ok(register),
        false => Err((piece.column, format!("{register} cannot be written; R0 to R12 can"))),
    }
}

fn number(piece: Piece<'_>, most: u16) -> Parsed<u16> {
    let digits = piece.text.strip_prefix('#').unwrap_or(piece.text).to_lowercase();
    let value = if let Some(digits) = digits.strip_prefix("0x") {
        u16::from_str_radix(digits, 16)
    } else if let Some(digits) = digits.strip_prefix("0b") {
        u16::from_str_radix(digits, 2)
    } else {
        digits.parse()
    };
    let value = value.ok().filter(|&value| value <= most);
    value.ok_or_else(|| (piece.column, format!("\"{}\" is no number from 0 to {most}", piece.text)))
}

fn address(piece: Piece<'_>, labels: &HashMap<String, usize>) -> Parsed<u8> {
    if let Some(&to) = labels.get(piece.text) {
        return u8::try_from(to).map_err(|_| (piece.column, format!("the label {} stands at {to}, beyond 255", piece.text)));
    }
    if is_name(piece.text) {
        return Err((piece.column, format!("there is no label {}", piece.text)));
    }
    number(piece, 255).map(|value| value as u8)
}

fn nzp(letters: &str) -> Option<Nzp> {
    let mut bits = 0;
    for letter in letters.chars() {
        let bit = match letter {
            'N' => Nzp::N,
            'Z' => Nzp::Z,
            'P' => Nzp::P,
            _ => return None,
        };
        bits |= bit;
    }
    Some(Nzp(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_words_data_and_threads() {
        let text = "; a loop\n.threads 8\n.data 1 2, 0x10\n.data 4\nSTART:\n  const R1, #0b11 // three\nLOOP: ADD R0,R0,R1 ; more\n  CMP R0, %blockDim\n  BRnz LOOP\n  BR 0x05\n  .word 0xa123\n  RET";
        let program = assemble(text).expect("a right text");
        let listing: Vec<String> = program
            .words
            .iter()
            .map(|&word| Instruction::from_word(word).to_string())
            .collect();
        let expected = [
            "CONST R1, 3",
            "ADD R0, R0, R1",
            "CMP R0, %blockDim",
            "BRnz 1",
            "BR 5",
            ".word 0xa123",
            "RET",
        ];
        assert_eq!(listing, expected);
        assert_eq!((program.data, program.threads), (vec![1, 2, 16, 4], Some(8)));
        assert_eq!(program.lines, [6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn every_word_that_is_printed_is_read_again() {
        for word in 0..=u16::MAX {
            let text = Instruction::from_word(word).to_string();
            // Words that write a read-only register do nothing; only `.word` can say them.
            let Ok(program) = assemble(&text) else {
                let instruction = Instruction::from_word(word);
                assert!(word >> 8 & 15 >= 13, "{instruction}");
                continue;
            };
            assert_eq!(
                Instruction::from_word(program.words[0]),
                Instruction::from_word(word),
                "{text}"
            );
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let cases = [
            ("ADD R0, R1", "line 1, column 1: ADD takes 3 operands, here are 2"),
            ("RET R1", "line 1, column 5: RET takes 0 operands, here are 1"),
            ("\n  MOV R0, R1", "line 2, column 3: there is no MOV"),
            (
                "LOOP ADD R0, R0, R1",
                "line 1, column 1: there is no LOOP; a label ends with a colon: LOOP:",
            ),
            ("ADD R0, R13, R1", "line 1, column 9: \"R13\" is no register"),
            ("ADD %blockIdx, R0, R1", "line 1, column 5: %blockIdx cannot be written"),
            ("CONST R0, 256", "line 1, column 11: \"256\" is no number from 0 to 255"),
            ("BRn NOWHERE", "line 1, column 5: there is no label NOWHERE"),
            ("A: NOP\nA: NOP", "line 2, column 1: the label A is there already"),
            ("1A: NOP", "line 1, column 1: \"1A\" is no name"),
            (".threads 300", "line 1, column 10: \"300\" is no number"),
            (".threads 1\n.threads 2", "line 2, column 1: the threads are given already"),
            ("é ADD R0", "line 1, column 1: there is no é"),
            (".data 1 -1", "line 1, column 9: \"-1\" is no number"),
        ];
        for (text, expected) in cases {
            let faults = assemble(text).expect_err(text);
            assert!(faults[0].to_string().starts_with(expected), "{text:?}: {}", faults[0]);
        }
        let long = "NOP\n".repeat(257);
        assert!(
            assemble(&long).expect_err("too long")[0]
                .message
                .starts_with("257 instructions")
        );
        let two = assemble("MOV\nBRn X").expect_err("two faults");
        assert_eq!(two.len(), 2, "{two:?}");
    }
}
