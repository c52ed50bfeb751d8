//! `qwglm sim`: what the machine is asked that it cannot do, or that never ends.

use super::*;

fn program(folder: &Path, text: &str) -> String {
    let path = folder.join("p.asm");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn json(folder: &Path, args: &[&str]) -> serde_json::Value {
    let ran = qwglm(folder, args).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn bundled_programs_take_the_cycles_that_the_rtl_takes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, cycles, first, results) in [
        ("matadd", 178, 16, [0, 2, 4, 6, 8, 10, 12, 14].as_slice()),
        ("matmul", 491, 8, [7, 10, 15, 22].as_slice()),
    ] {
        let ran = json(folder.path(), &["sim", name, "--json"]);
        assert_eq!(ran["report"]["cycles"], cycles, "{name}");
        let memory: Vec<u64> = ran["memory"]
            .as_array()
            .unwrap()
            .iter()
            .map(|byte| byte.as_u64().unwrap())
            .collect();
        assert_eq!(memory[first..first + results.len()], *results, "{name}");
    }
}

#[test]
fn faults_of_the_text_have_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = program(
        folder.path(),
        ".threads 4\nADD R0, R1\n  JUMP 3\nCONST R1, 256\nBRn NOWHERE\n",
    );
    let ran = qwglm(folder.path(), &["sim", &path]).expect(2);
    let places: Vec<String> = [2, 3, 4, 5]
        .iter()
        .map(|line| format!("p.asm: line {line}, column"))
        .collect();
    ran.says(&places.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_program_that_never_ends_is_stopped_with_a_word_about_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = program(folder.path(), ".threads 4\nLOOP: CMP R0, R0\nBRz LOOP\nRET\n");
    let ran = qwglm(folder.path(), &["sim", &path, "--max-cycles", "5000"]).expect(1);
    assert!(ran.stdout.contains("5000 cycles, not done"), "{}", ran.stdout);
    ran.says(&["not done after 5000 cycles", "--max-cycles"]);
    // Of a partial block the reason is known.
    qwglm(folder.path(), &["sim", "matadd", "--threads", "6", "--max-cycles", "3000"])
        .expect(1)
        .says(&["not done after 3000 cycles", "leave a block of 2", "--with divergence"]);
    qwglm(folder.path(), &["sim", "matadd", "--threads", "6", "--with", "divergence"]).expect(0);
}

#[test]
fn a_device_has_so_many_threads_lanes_and_channels() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (["--threads", "256"], ["256 threads", "0 to 255"]),
        (["--cores", "0"], ["cores is 0", "1 to"]),
        (["--threads-per-block", "65"], ["threads_per_block is 65", "1 to 64"]),
        (["--data-channels", "0"], ["data_channels is 0", "1 to"]),
        (["--memory-latency", "0"], ["memory_latency_cycles is 0", "1 to"]),
    ] {
        let [flag, value] = args;
        qwglm(folder.path(), &["sim", "matadd", flag, value]).expect(2).says(&words);
    }
    let text = program(folder.path(), "RET\n");
    qwglm(folder.path(), &["sim", &text])
        .expect(2)
        .says(&[".threads 8", "--threads 8"]);
    qwglm(folder.path(), &["sim", "nowhere.asm"])
        .expect(2)
        .says(&["nowhere.asm cannot be read", "matadd, matmul"]);
}

/// Addresses have eight bits as registers do: there is no outside, only a way around.
#[test]
fn addresses_wrap_around_as_in_the_rtl() {
    let folder = tempfile::tempdir().unwrap();
    let text = ".threads 4\n.data 11 22\nCONST R0, 255\nCONST R1, 2\nADD R2, R0, R1\nLDR R3, R2\nCONST R4, 77\nSTR R0, R4\nADD R5, R0, R0\nSTR R5, R3\nRET\n";
    let path = program(folder.path(), text);
    let ran = json(folder.path(), &["sim", &path, "--json"]);
    // 255 + 2 is 1, which holds 22; 255 + 255 is 254.
    assert_eq!(
        (ran["memory"][255].as_u64(), ran["memory"][254].as_u64()),
        (Some(77), Some(22))
    );
    // Code that runs off its end goes on from address 0: here through NOPs to a RET that is never there.
    let path = program(folder.path(), ".threads 4\nCONST R0, 1\n");
    qwglm(folder.path(), &["sim", &path, "--max-cycles", "20000"])
        .expect(1)
        .says(&["not done after 20000 cycles"]);
    let data = format!(".threads 4\n.data {}\nRET\n", "1 ".repeat(257));
    let path = program(folder.path(), &data);
    qwglm(folder.path(), &["sim", &path]).expect(2).says(&["257", "256"]);
}
