//! CPU time and memory of processes, from proc(5).

use anyhow::Context as _;

/// Linux reports CPU times to user space in hundredths of a second, independent of the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let stat = Stat::parse(&line).context("unexpected form of /proc/PID/stat")?;
    Ok(stat.ticks as f64 / TICKS_PER_SECOND)
}

/// User and system time of all running processes of a group, in seconds.
pub(crate) fn group_cpu_seconds(group: u32) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for process in std::fs::read_dir("/proc")? {
        // A process may end during the loop, and not every entry of /proc is a process.
        let Ok(line) = std::fs::read_to_string(process?.path().join("stat")) else { continue };
        ticks += Stat::parse(&line).filter(|stat| stat.group == group).map_or(0, |stat| stat.ticks);
    }
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok())
        .context("unexpected form of /proc/PID/status")?;
    Ok(kib / 1024.0)
}

/// CPU time of all threads of a process so far, in nanoseconds. Unlike the others it is not rounded to ticks, so it
/// measures single jobs.
pub(crate) fn cpu_nanoseconds(pid: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end during the loop.
        let Ok(line) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanoseconds = line.split(' ').next().and_then(|field| field.parse::<u64>().ok());
        sum += nanoseconds.context("unexpected form of schedstat")?;
    }
    Ok(sum)
}

#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    /// User and system time, in ticks.
    ticks: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name in parentheses may contain any character, so fields are counted after it.
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self { group: u32::try_from(number(2)?).ok()?, ticks: number(11)? + number(12)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "42 (a ) b) S 1 7 42 0 -1 4194560 2 0 0 0 30 12 0 0 20 0 1 0 5 0 0";
        assert_eq!(Stat::parse(line), Some(Stat { group: 7, ticks: 42 }));
    }

    #[test]
    fn this_process_has_used_memory() {
        assert!(resident_mib(std::process::id()).unwrap() > 0.5);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(cpu_nanoseconds(std::process::id()).unwrap() > 0);
    }
}
