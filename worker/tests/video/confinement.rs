//! Actions that a confined process cannot take, tried with ordinary programs in place of a decoder that was taken over.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::clips::WORKER;

/// Number of the signal that ends a process for a forbidden system call.
const SIGSYS: i32 = 31;

fn confined(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(WORKER);
    command.args(["confine", "--", program]).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stderr_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn harmless_programs_run() {
    let output = confined("/bin/echo", &["a", "b"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b"a b\n"[..]),
        "{}",
        stderr_text(&output)
    );
}

#[test]
fn files_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    for path in [secret.to_str().unwrap(), "/etc/passwd", "/proc/self/environ", "/proc/1/status"] {
        assert!(Path::new(path).exists());
        let output = confined("/bin/cat", &[path]);
        assert!(
            output.stdout.is_empty() && stderr_text(&output).contains("denied"),
            "{path}: {}",
            stderr_text(&output)
        );
    }
    let output = confined("/bin/ls", &["/"]);
    assert!(output.stdout.is_empty() && !output.status.success(), "folders are not listed");
}

#[test]
fn files_are_not_written_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (new, old) = (folder.path().join("new.mkv"), folder.path().join("old"));
    std::fs::write(&old, "kept").unwrap();
    let arguments = format!("-v error -f lavfi -i testsrc -frames:v 1 -c:v rawvideo -y {}", new.display());
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let output = confined("/usr/bin/ffmpeg", &arguments);
    assert!(!output.status.success() && !new.exists(), "{}", stderr_text(&output));
    assert!(stderr_text(&output).contains("denied"), "{}", stderr_text(&output));
    assert!(!confined("/bin/rm", &["-f", old.to_str().unwrap()]).status.success());
    assert!(!confined("/bin/cp", &["/bin/true", old.to_str().unwrap()]).status.success());
    assert_eq!(std::fs::read(&old).unwrap(), b"kept");
}

#[test]
fn a_socket_ends_the_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/video.mp4", listener.local_addr().unwrap());
    let output = confined("/usr/bin/ffmpeg", &["-v", "error", "-i", &url, "-f", "null", "-"]);
    assert_eq!(output.status.signal(), Some(SIGSYS), "{}", stderr_text(&output));
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody called");
}

#[test]
fn other_programs_processes_and_signals_are_out_of_reach() {
    let mut bystander = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let kill = format!("kill -9 {}; echo $?", bystander.id());
    let killed = confined("/bin/sh", &["-c", &kill]);
    assert_eq!(String::from_utf8_lossy(&killed.stdout).trim(), "1", "{}", stderr_text(&killed));
    assert!(bystander.try_wait().unwrap().is_none(), "it still runs");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    let executed = confined("/bin/sh", &["-c", "exec /bin/echo executed"]);
    assert!(
        executed.stdout.is_empty() && stderr_text(&executed).contains("denied"),
        "{}",
        stderr_text(&executed)
    );
    let forked = confined("/bin/sh", &["-c", "(echo forked)"]);
    assert!(forked.stdout.is_empty() && !forked.status.success(), "{}", stderr_text(&forked));
}

#[test]
fn limits_and_environment_are_set() {
    let listed = confined("/bin/sh", &["-c", "ulimit -t; ulimit -f; ulimit -n; ulimit -v"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "60\n0\n64\n2097152\n", "{}", stderr_text(&listed));
    let mut command = Command::new(WORKER);
    command.args(["confine", "--", "/usr/bin/env"]).env("SECRET", "1");
    assert_eq!(String::from_utf8_lossy(&command.output().unwrap().stdout), "MALLOC_ARENA_MAX=2\n");
}

#[test]
fn inherited_descriptors_are_closed() {
    // The shell opens a file as descriptor 7 and leaves it open in the confined process, which writes there.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("inherited");
    let script =
        format!("exec 7>{}; exec '{WORKER}' confine -- /bin/sh -c 'echo leaked >&7'", file.display());
    let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    assert!(stderr_text(&output).contains("ad file descriptor"), "{}", stderr_text(&output));
    assert_eq!(std::fs::read(&file).unwrap(), b"");
}

#[test]
fn a_child_does_not_outlive_its_parent() {
    let script = format!("'{WORKER}' confine --parent $$ -- /bin/sleep 600 & echo $!; wait");
    let mut parent = Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let mut child = String::new();
    output.read_line(&mut child).unwrap();
    let name = format!("/proc/{}/comm", child.trim());
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(&name).unwrap_or_default() != "sleep\n" {
        assert!(Instant::now() < deadline, "the child does not run");
        std::thread::yield_now();
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The child holds the other end of the pipe: its end is the end of the output.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_child_of_another_parent_does_not_start() {
    let output =
        Command::new(WORKER).args(["confine", "--parent", "1", "--", "/bin/echo", "x"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
    assert!(stderr_text(&output).contains("parent is gone"), "{}", stderr_text(&output));
}

/// Within a confined process limits cannot be set any more, as on a kernel that refuses.
#[test]
fn what_cannot_be_confined_is_not_started() {
    let output = confined(WORKER, &["confine", "--", "/bin/echo", "x"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
    assert!(stderr_text(&output).starts_with("not confined: "), "{}", stderr_text(&output));
}
