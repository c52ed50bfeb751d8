//! Frames out of an installed `ffmpeg`: a child process that writes raw RGB pictures (PPM) to a pipe.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::picture::{MAX_PIXELS, Picture};
use crate::error::{Error, Result};

/// What ffmpeg said that is kept for an error.
const MAX_STDERR_BYTES: usize = 2000;

/// A running ffmpeg; dropping it ends the process.
pub struct Ffmpeg {
    path: PathBuf,
    child: Child,
    pictures: BufReader<ChildStdout>,
    said: Option<JoinHandle<String>>,
}

impl Ffmpeg {
    /// Starts to decode a file at `fps` frames a second.
    ///
    /// Errors: [`Error::NoFfmpeg`] if the program is not installed; [`Error::Read`] if the file is not there.
    pub fn start(program: &str, path: &Path, fps: f64) -> Result<Self> {
        std::fs::File::open(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        // `file:` keeps a name from being read as an option or an address, the list of protocols a playlist from
        // fetching anything.
        let mut file = std::ffi::OsString::from("file:");
        file.push(path);
        let mut child = Command::new(program)
            .args(["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i"])
            .arg(file)
            .args([
                "-map",
                "0:v:0",
                "-vf",
                &format!("fps={fps}"),
                "-f",
                "image2pipe",
                "-c:v",
                "ppm",
                "-pix_fmt",
                "rgb24",
                "pipe:1",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::NoFfmpeg {
                message: error.to_string(),
            })?;
        let no_pipe = || Error::NoFfmpeg {
            message: "no pipe to it".to_owned(),
        };
        let pictures = BufReader::with_capacity(1 << 20, child.stdout.take().ok_or_else(no_pipe)?);
        let stderr = child.stderr.take().ok_or_else(no_pipe)?;
        // Read beside the pictures: a full pipe would stop the process.
        let said = Some(std::thread::spawn(move || last_words(stderr)));
        Ok(Self {
            path: path.to_owned(),
            child,
            pictures,
            said,
        })
    }

    /// The next frame, or `None` after the last. Blocks.
    ///
    /// Errors: [`Error::Ffmpeg`] with what it said, if it failed.
    pub fn next_frame(&mut self) -> Result<Option<Picture>> {
        match ppm(&mut self.pictures) {
            Ok(Some(picture)) => Ok(Some(picture)),
            Ok(None) => self.finish(None),
            Err(message) => self.finish(Some(message)),
        }
    }

    fn finish(&mut self, fault: Option<String>) -> Result<Option<Picture>> {
        if fault.is_some() {
            // It may still be writing what cannot be read; that it has ended already is fine.
            let _ = self.child.kill();
        }
        let status = self.child.wait();
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        match (fault, status) {
            (None, Ok(status)) if status.success() => Ok(None),
            (fault, status) => {
                let ended = || status.map_or_else(|e| e.to_string(), |status| status.to_string());
                let message = match said.trim() {
                    "" => fault.unwrap_or_else(ended),
                    said => said.replace('\n', "; "),
                };
                Err(Error::Ffmpeg {
                    path: self.path.clone(),
                    message,
                })
            }
        }
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        // Both fail if the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_words(mut stderr: ChildStderr) -> String {
    let mut kept = VecDeque::new();
    let mut buffer = [0; 4096];
    while let Ok(n) = stderr.read(&mut buffer) {
        if n == 0 {
            break;
        }
        kept.extend(&buffer[..n]);
        kept.drain(..kept.len().saturating_sub(MAX_STDERR_BYTES));
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

/// Reads one `P6` picture; `None` at the end of the stream.
fn ppm(stream: &mut impl Read) -> Result<Option<Picture>, String> {
    let mut first = [0];
    match stream.read(&mut first) {
        Ok(0) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error.to_string()),
    }
    let mut word = || -> Result<String, String> {
        let mut word = String::new();
        loop {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|error| error.to_string())?;
            match byte[0] {
                b if b.is_ascii_whitespace() && !word.is_empty() => return Ok(word),
                b if b.is_ascii_whitespace() => {}
                b if word.len() < 10 => word.push(char::from(b)),
                _ => return Err("no picture came out of it".to_owned()),
            }
        }
    };
    let (kind, width, height, max) = (word()?, word()?, word()?, word()?);
    let number = |word: &str| word.parse::<u32>().map_err(|error| format!("{word}: {error}"));
    let (width, height) = (number(&width)?, number(&height)?);
    let size = u64::from(width) * u64::from(height);
    if first != *b"P" || kind != "6" || max != "255" || size == 0 || size > MAX_PIXELS {
        return Err(format!("a picture of {width}×{height} came out of it"));
    }
    let mut rgb = vec![0; size as usize * 3];
    stream.read_exact(&mut rgb).map_err(|error| error.to_string())?;
    Ok(Some(Picture { width, height, rgb }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_read_one_after_another() {
        let mut stream: &[u8] = b"P6\n2 1\n255\nabcdefP6\n1 1\n255\nxyz";
        let first = ppm(&mut stream).unwrap().unwrap();
        assert_eq!((first.width, first.height, first.rgb.as_slice()), (2, 1, &b"abcdef"[..]));
        assert_eq!(ppm(&mut stream).unwrap().unwrap().rgb, b"xyz");
        assert_eq!(ppm(&mut stream), Ok(None));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for stream in [
            "P6\n2 1\n255\nabc",
            "P5\n1 1\n255\nabc",
            "P6\n99999 99999\n255\n",
            "P6\n0 1\n255\n",
            "nonsense that goes on",
            "P6\n1",
        ] {
            assert!(ppm(&mut stream.as_bytes()).is_err(), "{stream}");
        }
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Ffmpeg::start("no-such-ffmpeg", file.path(), 2.0).err().unwrap();
        assert!(
            matches!(error, Error::NoFfmpeg { .. }) && error.to_string().contains("apt install ffmpeg"),
            "{error}"
        );
        let missing = Ffmpeg::start("no-such-ffmpeg", Path::new("no-such-video"), 2.0);
        assert!(matches!(missing, Err(Error::Read { .. })));
    }
}
