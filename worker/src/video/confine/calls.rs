//! System calls that the child may make (seccomp).
//!
//! There are two filters. The first allows the calls that decoding needs. Every other call fails with ENOSYS, as on a
//! kernel that does not have it, because libraries can do without it then. The second filter kills the process at calls
//! that an intruder makes and decoding never does. That ends an attack at once, and the signal distinguishes it from a
//! damaged video.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, apply_filter,
};

use super::error::ConfinementError;

/// Calls that decoding takes, with any arguments. All of them concern this process and what it has open, or open files, which
/// landlock restricts.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_fadvise64,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcwd,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pselect6,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Older forms of these calls, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OLDER: &[libc::c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OLDER: &[libc::c_long] = &[];

/// Calls that end the process.
const KILLING: &[libc::c_long] = &[
    libc::SYS_accept4,
    libc::SYS_add_key,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_connect,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsopen,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_listen,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setns,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Restricts this process for good.
pub(super) fn restrict() -> Result<(), ConfinementError> {
    let killing = KILLING.iter().map(|call| (*call, Vec::new())).collect();
    install(killing, SeccompAction::KillProcess, SeccompAction::Allow)?;
    let mut allowed: BTreeMap<_, _> =
        ALLOWED.iter().chain(ALLOWED_OLDER).map(|call| (*call, Vec::new())).collect();
    allowed.extend(conditional().map_err(|error| ConfinementError::Calls(error.to_string()))?);
    install(allowed, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))
}

/// Calls that are allowed with certain arguments only.
fn conditional() -> Result<Vec<(libc::c_long, Vec<SeccompRule>)>, seccompiler::BackendError> {
    let when = |argument, length, is, value: u64| Condition::new(argument, length, is, value);
    let rule = |conditions| SeccompRule::new(conditions);
    // Threads are allowed, but neither processes nor namespaces. `clone3` hides its flags behind a pointer, so it fails
    // with ENOSYS.
    let thread = libc::CLONE_THREAD as u64;
    let spaces = [
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWUTS,
    ];
    let flags = spaces.into_iter().fold(thread, |flags, space| flags | space as u64);
    let itself = u64::from(std::process::id());
    Ok(vec![
        (libc::SYS_clone, vec![rule(vec![when(0, Len::Qword, Is::MaskedEq(flags), thread)?])?]),
        // `abort` sends a signal, and may send it only to this process.
        (libc::SYS_tgkill, vec![rule(vec![when(0, Len::Dword, Is::Eq, itself)?])?]),
        (
            libc::SYS_prctl,
            vec![
                rule(vec![when(0, Len::Dword, Is::Eq, libc::PR_SET_NAME as u64)?])?,
                rule(vec![when(0, Len::Dword, Is::Eq, libc::PR_CAPBSET_READ as u64)?])?,
            ],
        ),
        // Limits can be read, but not set, and not those of others.
        (
            libc::SYS_prlimit64,
            vec![rule(vec![when(0, Len::Dword, Is::Eq, 0)?, when(2, Len::Qword, Is::Eq, 0)?])?],
        ),
    ])
}

fn install(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    on_match: SeccompAction,
    otherwise: SeccompAction,
) -> Result<(), ConfinementError> {
    let error = |error: &dyn std::fmt::Display| ConfinementError::Calls(error.to_string());
    let target = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| error(&e))?;
    let filter = SeccompFilter::new(rules, otherwise, on_match, target).map_err(|e| error(&e))?;
    let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| error(&e))?;
    apply_filter(&program).map_err(|e| error(&e))
}
