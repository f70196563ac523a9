//! A program for Linux that writes one line and ends, in some two hundred bytes: so that what was pulled can
//! be run as well, on a machine that has no compiler and no other image.

/// A processor that the program is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

/// Where the program is in memory. A multiple of the largest page there is on either architecture.
const BASE: u64 = 0x40_0000;
const PAGE: u64 = 0x1_0000;
/// The two headers in front of the code.
const HEADERS: u16 = FILE_HEADER + SEGMENT_HEADER;
const FILE_HEADER: u16 = 64;
const SEGMENT_HEADER: u16 = 56;

impl Architecture {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one of this machine; on a third kind the first is as good as the second.
    pub(super) fn here() -> Self {
        if std::env::consts::ARCH == "aarch64" {
            Self::Arm64
        } else {
            Self::Amd64
        }
    }

    /// As in `platform.architecture` (OCI image spec, "Image Index").
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// `e_machine` of the ELF header.
    fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

/// The program that writes `line`, as the bytes of an executable file (System V ABI, ELF-64).
pub(super) fn program(architecture: Architecture, line: &str) -> Vec<u8> {
    let length = u16::try_from(line.len()).unwrap_or(u16::MAX);
    let code = match architecture {
        Architecture::Amd64 => amd64(length),
        Architecture::Arm64 => arm64(length),
    };
    let size = u64::from(HEADERS) + (code.len() + line.len()) as u64;

    let mut file = Vec::new();
    // Identification: 64 bits, little-endian, version 1.
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // An executable of this machine.
    halves(&mut file, &[2, architecture.machine(), 1, 0]);
    // Entry, the segments' headers, no sections' headers.
    words(
        &mut file,
        &[BASE + u64::from(HEADERS), FILE_HEADER.into(), 0],
    );
    halves(&mut file, &[0, 0, FILE_HEADER, SEGMENT_HEADER, 1, 0, 0, 0]);
    // One segment: to be loaded, to be read and executed.
    halves(&mut file, &[1, 0, 5, 0]);
    words(&mut file, &[0, BASE, BASE, size, size, PAGE]);
    file.extend_from_slice(&code);
    file.extend_from_slice(line.as_bytes());
    file
}

/// `write(1, line, length); exit(0)`, the line right behind the code.
fn amd64(length: u16) -> Vec<u8> {
    let [low, high] = length.to_le_bytes();
    vec![
        0xb8, 1, 0, 0, 0, // mov eax, 1 (write)
        0xbf, 1, 0, 0, 0, // mov edi, 1 (standard output)
        0x48, 0x8d, 0x35, 16, 0, 0, 0, // lea rsi, [rip + 16]
        0xba, low, high, 0, 0, // mov edx, length
        0x0f, 0x05, // syscall
        0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
        0x31, 0xff, // xor edi, edi
        0x0f, 0x05, // syscall
    ]
}

/// The same.
fn arm64(length: u16) -> Vec<u8> {
    let mov = |register: u32, value: u16| 0xd280_0000 | u32::from(value) << 5 | register;
    let adr = |register: u32, words_ahead: u32| 0x1000_0000 | words_ahead << 5 | register;
    let svc = 0xd400_0001_u32;
    let code = [
        mov(0, 1),
        adr(1, 7),
        mov(2, length),
        mov(8, 64), // write
        svc,
        mov(0, 0),
        mov(8, 93), // exit
        svc,
    ];
    code.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn halves(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn words(file: &mut Vec<u8>, values: &[u64]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    fn it_writes_its_line_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        // The shell writes the file: one that this process has open for writing, or a child it is just
        // starting in another test, could not be executed.
        let mut shell = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod +x \"$0\" && exec \"$0\""])
            .arg(folder.path().join("program"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let program = program(Architecture::here(), "Hello.\n");
        shell.stdin.take().unwrap().write_all(&program).unwrap();
        let run = shell.wait_with_output().unwrap();
        assert!(run.status.success(), "{:?}", run.status);
        assert_eq!(run.stdout, b"Hello.\n");
    }

    #[test]
    fn each_machine_has_its_own() {
        let [amd64, arm64] = Architecture::ALL.map(|architecture| program(architecture, "x"));
        assert_eq!((amd64[18], arm64[18]), (62, 183));
        // The code begins where the header says, and the line is the last byte.
        for program in [amd64, arm64] {
            assert_eq!(&program[24..32], &0x40_0078_u64.to_le_bytes());
            assert_eq!(program.last(), Some(&b'x'));
        }
    }
}
