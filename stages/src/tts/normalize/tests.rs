//! What a person would say, case by case.

use super::*;

/// A few words that a dictionary has.
fn is_word(word: &str) -> bool {
    const WORDS: &str = "error save file hash map none type the open main guide install details support visit example parse config notes backup log docs cargo build release system settings window copy project report final march read it changes nasa cannot find value scope army team bring costs users anna documents bold code italic let if return null git commit fix typo max pro windows vec dyn box result println len lib slash bin var user c a x main street kennedy vernon lived port prices rose ram zoom video version call press world ended wives chapter meet bring is percent found not over wifi syslog object";
    WORDS.split_whitespace().any(|known| known == word)
}

fn said(text: &str) -> String {
    normalize(text, &is_word).to_string()
}

#[test]
fn texts_are_read_as_a_person_would() {
    let cases = [
        (
            "The download is 47% complete, with about 3 minutes remaining.",
            "The download is forty seven percent complete, with about three minutes remaining.",
        ),
        (
            "Your balance is $1,284.50, down from $1,310.",
            "Your balance is one thousand two hundred eighty four dollars and fifty cents, down from one thousand three hundred ten dollars.",
        ),
        (
            "It weighs 0.75 kg and measures 12 by 30 centimetres.",
            "It weighs zero point seven five kilograms and measures twelve by thirty centimetres.",
        ),
        (
            "The process with PID 20817 is using 98.6% of the CPU.",
            "The process with P I D twenty thousand eight hundred seventeen is using ninety eight point six percent of the C P U.",
        ),
        (
            "The meeting was moved to Tuesday, March 4th, 2025.",
            "The meeting was moved to Tuesday, March fourth, two thousand twenty five.",
        ),
        (
            "The build finished at 14:05 on 2024-11-22.",
            "The build finished at fourteen zero five on November twenty second, two thousand twenty four.",
        ),
        (
            "Founded in 1998, the company moved in 2006 and again in the 2010s.",
            "Founded in nineteen ninety eight, the company moved in two thousand six and again in the twenty tens.",
        ),
        (
            "Dr. Lee and Mrs. Alvarez arrived at St. James St. at 9 a.m.",
            "Doctor Lee and Missus Alvarez arrived at Saint James Street at nine A M.",
        ),
        (
            "Bring pens, paper, etc., i.e. the usual things.",
            "Bring pens, paper, et cetera, I E the usual things.",
        ),
        (
            "The GPU driver failed to load, so the API returned HTTP 500.",
            "The G P U driver failed to load, so the A P I returned H T T P five hundred.",
        ),
        (
            "NASA and the FBI both use PDF files; the URL is in the README.",
            "NASA and the F B I both use P D F files; the U R L is in the readme.",
        ),
        (
            "Go to https://docs.example.org/guide/install.html for details.",
            "Go to H T T P S colon slash slash docs dot example dot org slash guide slash install dot H T M L for details.",
        ),
        (
            "Write to support@example.com or visit www.example.com.",
            "Write to support at example dot com or visit W W W dot example dot com.",
        ),
        (
            "Open main.rs and fix the error on line 42, column 17.",
            "Open main dot R S and fix the error on line forty two, column seventeen.",
        ),
        (
            "The log is in /var/log/syslog, and a copy is in ~/backup/notes_v2.txt.",
            "The log is in slash var slash log slash syslog, and a copy is in tilde slash backup slash notes v two dot T X T.",
        ),
        (
            "The function parse_config returned None instead of a HashMap.",
            "The function parse config returned None instead of a Hash Map.",
        ),
        (
            "Run cargo build --release, then check that x != y && n <= 10.",
            "Run cargo build release, then check that X not equals Y and N less than or equal to ten.",
        ),
        (
            "TypeError: 'NoneType' object is not iterable",
            "Type Error: None Type object is not iterable",
        ),
        ("Wait... what? No -- that's not right!", "Wait, what? No, that's not right!"),
        (
            "She said, \"It's done,\" and left (without her keys).",
            "She said, It's done, and left, without her keys.",
        ),
        (
            "There are three buttons: OK, Cancel, and Apply.",
            "There are three buttons: okay, Cancel, and Apply.",
        ),
        (
            "I read the book yesterday, and I will read it again.",
            "I read the book yesterday, and I will read it again.",
        ),
        (
            "Żaneta and François met Mr. O'Neill in Zürich.",
            "Żaneta and François met Mister O'Neill in Zürich.",
        ),
        (
            "The drive holds 512 GB at 7200 rpm and 35 °C.",
            "The drive holds five hundred twelve gigabytes at seven thousand two hundred R P M and thirty five degrees Celsius.",
        ),
        (
            "I live at 221B Baker Street.",
            "I live at two hundred twenty one B Baker Street.",
        ),
        ("Mr. and Mrs. Jones went home.", "Mister and Missus Jones went home."),
        ("e-mail me at home", "email me at home"),
        (
            "NASA launched 3 rockets in 1969.",
            "NASA launched three rockets in nineteen sixty nine.",
        ),
        (
            "It's 7:45 p.m., and the train is late!",
            "It's seven forty five P M, and the train is late!",
        ),
        ("The temperature is -4 degrees.", "The temperature is minus four degrees."),
        (
            "Call +1 (555) 123-4567 or 555-1234 now.",
            "Call plus one, five five five, one two three, four five six seven or five five five, one two three four now.",
        ),
        (
            "Press Ctrl+Shift+T, then Alt+F4 or Ctrl++.",
            "Press control shift T, then alt F four or control plus plus.",
        ),
        (
            "World War II ended in 1945; Henry VIII had six wives. Chapter IV.",
            "World War two ended in nineteen forty five; Henry the eighth had six wives. Chapter four.",
        ),
        (
            "Prices rose 3-5% to €2.5 million (about £40k) in the '90s.",
            "Prices rose three to five percent to two point five million euros, about forty thousand pounds, in the nineties.",
        ),
        (
            "The 1920x1080 video runs at 60fps, 16:9, 2.5x zoom.",
            "The nineteen twenty by ten eighty video runs at sixty frames per second, sixteen to nine, two point five times zoom.",
        ),
        (
            "Version v1.2.3 at 192.168.0.1:8080, commit a1b2c3d.",
            "Version one point two point three at one hundred ninety two dot one hundred sixty eight dot zero dot one colon eight thousand eighty, commit A one B two C three D.",
        ),
        ("Hello 👋🏽 world 🚀! 🫠", "Hello, waving hand, world, rocket!"),
        ("Привет мир, this is 日本語 text.", "this is text."),
        (
            "He said 1/2 of the 3/4 cup, 12/25/2023 and 2023-07-04T09:05:00Z.",
            "He said one half of the three quarters cup, December twenty fifth, two thousand twenty three and July fourth, two thousand twenty three, nine zero five.",
        ),
        (
            "error: cannot find value `foo_bar` in this scope --> src/lib.rs:10:5",
            "error: cannot find value foo bar in this scope arrow source slash lib dot R S colon ten colon five",
        ),
        (
            "let x = vec![1, 2, 3]; println!(\"{}\", x.len());",
            "let X equals vec one, two, three; println, x dot len;",
        ),
        (
            "fn main() -> Result<(), Box<dyn Error>> {",
            "F N main arrow Result, Box dyn Error",
        ),
        (
            "The USB-C port and the IDs of GPUs; the CEO's e-mail.",
            "The U S B C port and the I D's of G P U's; the C E O's email.",
        ),
        ("SAVE CHANGES? YES / NO", "SAVE CHANGES? YES, NO"),
        (
            "C:\\Users\\Anna\\Documents\\report_final.docx",
            "C colon backslash Users backslash Anna backslash Documents backslash report final dot doc x",
        ),
        (
            "Meet me on Jan. 5 at 9 a.m. Bring ID.",
            "Meet me on January fifth at nine A M. Bring I D.",
        ),
        (
            "The U.S. Army vs. the U.K. team, e.g. at 10pm.",
            "The U S Army versus the U K team, for example at ten P M.",
        ),
        (
            "Temperatures of 35°C, 95 °F and 5 km/h winds; 3 GB RAM, 1 GB free, 2TB.",
            "Temperatures of thirty five degrees Celsius, ninety five degrees Fahrenheit and five kilometers per hour winds; three gigabytes RAM, one gigabyte free, two terabytes.",
        ),
        (
            "1st, 2nd, 3rd, 21st and 100th",
            "first, second, third, twenty first and one hundredth",
        ),
        (
            "Plan A costs $0.99, plan B $5/month, plan C $3 million.",
            "Plan A costs ninety nine cents, plan B five dollars per month, plan C three million dollars.",
        ),
        (
            "100 + 200 = 300, 5 - 3 = 2, 2 × 3",
            "one hundred plus two hundred equals three hundred, five minus three equals two, two times three",
        ),
        (
            "She's 5'10\" and 150 lbs.",
            "She's five foot ten and one hundred fifty pounds.",
        ),
        (
            "README.md, Cargo.toml and .gitignore changed (+12 -3).",
            "readme dot M D, Cargo dot toml and dot git ignore changed, plus twelve minus three.",
        ),
        (
            "On 4 March 2025 we met; since March 2024.",
            "On the fourth of March two thousand twenty five we met; since March two thousand twenty four.",
        ),
        ("10:30-11:45", "ten thirty to eleven forty five"),
        ("**bold** and _italic_ `code`", "bold and italic code"),
        (
            "John F. Kennedy lived at 12 Main St. in Mt. Vernon. Then he left.",
            "John F Kennedy lived at twelve Main Street in Mount Vernon. Then he left.",
        ),
        (
            "1,000,000 people; 12345678901234567890123; 007",
            "one million people; one two three four five six seven eight nine zero one two three four five six seven eight nine zero one two three; zero zero seven",
        ),
        (
            "x = y + 1; if (a >= b || !c) { return null; }",
            "X equals Y plus one; if, a greater than or equal to B or not c, return null;",
        ),
        (
            "git commit -m \"fix: typo\" && git push",
            "git commit dash M fix: typo and git push",
        ),
        (
            "iPhone 15 Pro Max, iOS 17.2, macOS Sonoma, Windows 11",
            "i phone fifteen Pro Max, i O S seventeen point two, mac O S Sonoma, Windows eleven",
        ),
        (
            "The CPU is at 98%; RAM 7.8/16 GB.",
            "The C P U is at ninety eight percent; RAM seven point eight out of sixteen gigabytes.",
        ),
        ("HTTP/2 404 Not Found", "H T T P two four hundred four Not Found"),
        ("TCP/IP over Wi-Fi 6E", "T C P I P over wifi six E"),
        ("É déjà vu; naïve café; Müller straße", "É déjà vu; naïve café; Müller straße"),
    ];
    let failed: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| said(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  expected {expected}\n  found    {}", said(text)))
        .collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn what_cannot_be_said_is_counted_and_passed_over() {
    let cases = [
        ("", "", 0),
        (" \n\t ", "", 0),
        ("?!...", "", 0),
        ("Привет, мир", "", 9),
        ("🫠🫠", "", 2),
        ("❤️", "heart", 0),
        ("漢字 and kana", "and kana", 2),
    ];
    for (text, expected, n_unspoken) in cases {
        let found = normalize(text, &is_word);
        assert_eq!(
            (found.to_string().as_str(), found.n_unspoken),
            (expected, n_unspoken),
            "{text}"
        );
    }
}

#[test]
fn ranges_name_the_text_that_was_said() {
    let text = "On March 4th, pay $3 million — now.";
    let found = normalize(text, &is_word);
    let parts: Vec<&str> = found
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Words { range, .. } => Some(&text[range.clone()]),
            Piece::Mark(_) => None,
        })
        .collect();
    assert_eq!(parts, ["On", "March 4th,", "pay", "$3 million", "now."]);
}

#[test]
fn a_long_text_takes_no_more_than_its_length() {
    let text = "$1,284.50 (x) ".repeat(8_000);
    let found = normalize(&text, &is_word);
    let n_words = found
        .pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Words { .. }))
        .count();
    assert_eq!(n_words, 16_000);
    let one = "a1-.'\"(".repeat(15_000);
    assert!(normalize(&one, &is_word).pieces.len() < 100_000);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in r#"([ -~]|[äß漢🚀👍٣½—…’°µ€\n]){0,60}"#) {
        let found = normalize(&text, &is_word);
        for piece in &found.pieces {
            if let Piece::Words { range, words } = piece {
                assert!(!words.is_empty() && text.get(range.clone()).is_some());
            }
        }
        assert!(!matches!(found.pieces.first(), Some(Piece::Mark(_))));
    }
}
