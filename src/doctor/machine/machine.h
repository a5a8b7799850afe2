/* What a machine says about itself: every figure that limits how many connections it can hold, read once from /proc,
 * /sys and /etc. The table below says where each figure is. Nothing is changed, and a figure that cannot be read is
 * reported as unknown rather than guessed. Main thread. */
#ifndef DOCTOR_MACHINE_MACHINE_H
#define DOCTOR_MACHINE_MACHINE_H

#include "doctor/machine/cgroup.h"
#include "doctor/machine/reading.h"
#include "doctor/machine/root.h"
#include "doctor/machine/service.h"

#define SYS_NET "/proc/sys/net/"

/* name, how it is read, file, key of the line, number of the word in the file or in that line. A file of several words
 * has its facts in the order of the words: limits print and set them together. */
#define FACT_TABLE(X)                                                                                                  \
	X(DESCRIPTORS_SOFT, LINE, "/proc/self/limits", "Max open files", 0)                                            \
	X(DESCRIPTORS_HARD, LINE, "/proc/self/limits", "Max open files", 1)                                            \
	X(PROCESSES, LINE, "/proc/self/limits", "Max processes", 0)                                                    \
	X(ADDRESS_SPACE, LINE, "/proc/self/limits", "Max address space", 0)                                            \
	X(STACK, LINE, "/proc/self/limits", "Max stack size", 0)                                                       \
	X(DESCRIPTORS_SERVICE, OTHER, "LimitNOFILE in systemd's unit", "", 0)                                          \
	X(TASKS_SERVICE, OTHER, "TasksMax in systemd's unit", "", 0)                                                   \
	X(MEMORY_SERVICE, OTHER, "MemoryMax in systemd's unit", "", 0)                                                 \
	X(DESCRIPTORS_LOGIN, OTHER, "/etc/security/limits.conf and limits.d", "", 0)                                   \
	X(FILE_MAX, FILE, "/proc/sys/fs/file-max", "", 0)                                                              \
	X(FILES_USED, FILE, "/proc/sys/fs/file-nr", "", 0)                                                             \
	X(NR_OPEN, FILE, "/proc/sys/fs/nr_open", "", 0)                                                                \
	X(EPOLL_WATCHES, FILE, "/proc/sys/fs/epoll/max_user_watches", "", 0)                                           \
	X(SOMAXCONN, FILE, SYS_NET "core/somaxconn", "", 0)                                                            \
	X(SYN_BACKLOG, FILE, SYS_NET "ipv4/tcp_max_syn_backlog", "", 0)                                                \
	X(SYNCOOKIES, FILE, SYS_NET "ipv4/tcp_syncookies", "", 0)                                                      \
	X(TW_REUSE, FILE, SYS_NET "ipv4/tcp_tw_reuse", "", 0)                                                          \
	X(FIN_TIMEOUT, FILE, SYS_NET "ipv4/tcp_fin_timeout", "", 0)                                                    \
	X(HASH_BUCKETS, FILE, SYS_NET "ipv4/tcp_ehash_entries", "", 0)                                                 \
	X(PORT_FIRST, FILE, SYS_NET "ipv4/ip_local_port_range", "", 0)                                                 \
	X(PORT_LAST, FILE, SYS_NET "ipv4/ip_local_port_range", "", 1)                                                  \
	X(TCP_PAGES_LOW, FILE, SYS_NET "ipv4/tcp_mem", "", 0)                                                          \
	X(TCP_PAGES_PRESSURE, FILE, SYS_NET "ipv4/tcp_mem", "", 1)                                                     \
	X(TCP_PAGES, FILE, SYS_NET "ipv4/tcp_mem", "", 2)                                                              \
	X(READ_MIN, FILE, SYS_NET "ipv4/tcp_rmem", "", 0)                                                              \
	X(READ_DEFAULT, FILE, SYS_NET "ipv4/tcp_rmem", "", 1)                                                          \
	X(READ_MAX, FILE, SYS_NET "ipv4/tcp_rmem", "", 2)                                                              \
	X(WRITE_MIN, FILE, SYS_NET "ipv4/tcp_wmem", "", 0)                                                             \
	X(WRITE_DEFAULT, FILE, SYS_NET "ipv4/tcp_wmem", "", 1)                                                         \
	X(WRITE_MAX, FILE, SYS_NET "ipv4/tcp_wmem", "", 2)                                                             \
	X(CONNTRACK_MAX, FILE, SYS_NET "netfilter/nf_conntrack_max", "", 0)                                            \
	X(CONNTRACK_USED, FILE, SYS_NET "netfilter/nf_conntrack_count", "", 0)                                         \
	X(TCP_SOCKETS, LINE, "/proc/net/sockstat", "TCP: inuse", 0)                                                    \
	X(MEMORY_TOTAL, LINE, "/proc/meminfo", "MemTotal:", 0)                                                         \
	X(MEMORY_AVAILABLE, LINE, "/proc/meminfo", "MemAvailable:", 0)                                                 \
	X(COMMIT_LIMIT, LINE, "/proc/meminfo", "CommitLimit:", 0)                                                      \
	X(COMMIT_USED, LINE, "/proc/meminfo", "Committed_AS:", 0)                                                      \
	X(OVERCOMMIT, FILE, "/proc/sys/vm/overcommit_memory", "", 0)                                                   \
	X(MAP_COUNT, FILE, "/proc/sys/vm/max_map_count", "", 0)                                                        \
	X(IO_URING_DISABLED, FILE, "/proc/sys/kernel/io_uring_disabled", "", 0)                                        \
	X(THREADS_MAX, FILE, "/proc/sys/kernel/threads-max", "", 0)                                                    \
	X(PID_MAX, FILE, "/proc/sys/kernel/pid_max", "", 0)                                                            \
	X(THREADS_USED, OTHER, "/proc/loadavg", "", 0)                                                                 \
	X(GROUP_MEMORY, OTHER, "memory.max of the control group", "", 0)                                               \
	X(GROUP_MEMORY_USED, OTHER, "memory.current of the control group", "", 0)                                      \
	X(GROUP_TASKS, OTHER, "pids.max of the control group", "", 0)                                                  \
	X(GROUP_TASKS_USED, OTHER, "pids.current of the control group", "", 0)                                         \
	X(GROUP_CPU, OTHER, "cpu.max of the control group", "", 0)                                                     \
	X(SECCOMP, LINE, "/proc/self/status", "Seccomp:", 0)                                                           \
	X(CAPABILITIES, MASK, "/proc/self/status", "CapEff:", 0)                                                       \
	X(CORES, OTHER, "/proc/self/status", "", 0)                                                                    \
	X(HUGE_PAGES, WORDS, "/sys/kernel/mm/transparent_hugepage/enabled", "", 0)                                     \
	X(CLOCK_SOURCE, WORDS, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "", 0)              \
	X(SOCKET_BYTES, OTHER, "/proc/slabinfo", "", 0)                                                                \
	X(LINK_MBIT, OTHER, "/sys/class/net/*/speed", "", 0)                                                           \
	X(PRIVATE_TABLES, OTHER, "unshare(CLONE_FILES), tried", "", 0)                                                 \
	X(FIXED_FILES, OTHER, "io_uring_setup(), tried", "", 0)

enum fact {
#define X(name, way, path, key, word) FACT_##name,
	FACT_TABLE(X)
#undef X
		FACT_COUNT
};

#define MACHINE_WORDS_BYTES 64u

struct machine {
	struct reading facts[FACT_COUNT];
	char huge_pages[MACHINE_WORDS_BYTES];   /* "always [madvise] never"; "" if not known */
	char clock_source[MACHINE_WORDS_BYTES]; /* "tsc" */
	bool has_unit;                          /* systemd knows roost.service */
	uint32_t page_bytes;
};

/* What is tried rather than read; tests make it up. */
struct machine_probes {
	bool elsewhere; /* files of another machine: nothing can be tried, and what they do not refuse is allowed */
	bool private_tables; /* fdtable_can_detach() */
	bool fixed_files;    /* fixed_files_work() */
	uint32_t page_bytes; /* sysconf(_SC_PAGESIZE) */
};

/* On the heap. NULL without memory. */
struct machine *machine_read(const struct root *root, const struct machine_probes *probes);
void machine_free(struct machine *machine);

/* The file that has the fact, or words that say where it is. Static storage. */
const char *machine_path(enum fact fact);

/* CAP_SYS_RESOURCE: the process may raise its own hard limits. */
bool machine_may_raise(const struct machine *machine);

#endif
