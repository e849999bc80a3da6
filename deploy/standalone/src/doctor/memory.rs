//! Checks the memory that the settings allow against the limit of the control group or the machine.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use faceline_models::Repository;
use faceline_models::manifest::Role;
use faceline_shared::settings::Settings;
use faceline_worker::profile_of;

use super::finding::Finding;
use super::subject::Subject;

/// Memory of a gateway for each of its threads, without the bodies, in bytes; measured, see `docs/operations.md`.
const GATEWAY_BYTES_PER_THREAD: u64 = 32 << 20;
/// A decoded picture has three channels of one byte.
const BYTES_PER_PIXEL: u64 = 3;
/// The roles whose models each thread of a worker opens.
const ROLES: [Role; 6] =
    [Role::Embedding, Role::Detector, Role::Landmarks, Role::Age, Role::Liveness, Role::HeadPose];
const CGROUPS: &str = "/sys/fs/cgroup";

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "memory";
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let (limit, whose) = match (limit_in(&groups, Path::new(CGROUPS)), machine()) {
        (Some(limit), machine) if machine.is_none_or(|machine| limit < machine) => {
            (limit, "the control group")
        }
        (_, Some(machine)) => (machine, "this machine"),
        _ => return vec![Finding::warning(CHECK, "the limit of memory is not known", "mount /proc")],
    };
    let mut needed = 0;
    if subject.has_gateway() {
        needed += gateway(&subject.settings);
    }
    if subject.has_worker() {
        needed += worker(&subject.settings);
    }
    let found = format!(
        "a full load takes {} MiB or more by these settings, and {whose} has {} MiB",
        needed >> 20,
        limit >> 20
    );
    vec![if needed <= limit {
        Finding::ok(CHECK, found)
    } else {
        Finding::warning(
            CHECK,
            found,
            "raise the memory limit, or lower limits.inflight_bytes (gateway), inference.sessions, inference.replay_slots, \
             replay.kept_frame_bytes and limits.picture_pixels (worker)",
        )
    }]
}

/// Memory of a gateway in bytes: the bodies that it holds at the same time, and the rest.
fn gateway(settings: &Settings) -> u64 {
    settings.limits.inflight_bytes as u64 + GATEWAY_BYTES_PER_THREAD * threads()
}

/// Memory of a worker in bytes. Each thread has sessions of all models, and either a decoded picture or the kept frames
/// of a video.
fn worker(settings: &Settings) -> u64 {
    let sessions = match settings.inference.sessions {
        0 => cores(),
        sessions => sessions as u64,
    };
    let videos = settings.inference.replay_slots as u64;
    let picture = settings.limits.picture_pixels * BYTES_PER_PIXEL;
    (sessions + videos) * model_bytes(settings)
        + sessions * picture
        + videos * settings.replay.kept_frame_bytes as u64
}

/// Size of the profile's model files in bytes. It is 0 if they are not installed, which another check reports.
fn model_bytes(settings: &Settings) -> u64 {
    let Ok(repository) = Repository::open(&settings.models.dir) else { return 0 };
    let profile = profile_of(settings.models.profile);
    let models = ROLES.into_iter().filter_map(|role| repository.models(role, profile).ok()).flatten();
    models.filter_map(|model| fs::metadata(model.path).ok()).map(|file| file.len()).sum()
}

/// Number of threads of the runtime: `TOKIO_WORKER_THREADS`, or the number of cores. A gateway in the same environment
/// has as many.
fn threads() -> u64 {
    tokio::runtime::Handle::try_current()
        .map_or_else(|_| cores(), |runtime| runtime.metrics().num_workers() as u64)
}

fn cores() -> u64 {
    available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// Memory of the machine, in bytes.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The lowest limit of a control group and its parents, in bytes. `groups` is the text of `/proc/self/cgroup`
/// (cgroups(7)).
fn limit_in(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return vec![],
        };
        // In a cgroup namespace of its own, a container sees its group as the root.
        let folder = root.join(path.trim_start_matches('/'));
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&root));
        folders
            .filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok())
            .collect()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_above_a_process_counts() {
        let root = std::env::temp_dir().join(format!("faceline-cgroup-{}", uuid::Uuid::new_v4()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("pods/one/memory.max", "max\n");
        write("pods/memory.max", "1000\n");
        write("pods/two/memory.max", "500\n");
        write("memory/old/memory.limit_in_bytes", "700\n");
        for (groups, limit) in [
            ("0::/pods/one\n", Some(1000)),
            ("0::/pods/two\n", Some(500)),
            ("0::/\n", None),
            ("4:cpu:/old\n3:memory:/old\n", Some(700)),
            ("", None),
        ] {
            assert_eq!(limit_in(groups, &root), limit, "{groups}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
